"""Sample photos are the pinned ones, and stay inside their archive."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from daemon.errors import DownloadFailed
from tests.conftest import STATE
from tools.samples import sample_photos

ARCHIVE = "face_recognition-1.3.0.tar.gz"


def test_the_four_portraits_are_photos_of_their_own(samples: dict[str, bytes]) -> None:
    opened = {name: Image.open(io.BytesIO(photo)) for name, photo in samples.items()}
    assert {name: photo.format for name, photo in opened.items()} == dict.fromkeys(
        ("obama", "obama2", "obama3", "biden"), "JPEG"
    )
    assert all(min(photo.size) >= 300 for photo in opened.values())
    assert len({hashlib.sha256(photo).digest() for photo in samples.values()}) == 4


def test_only_the_archive_is_kept(samples: dict[str, bytes], tmp_path: Path) -> None:
    shutil.copy(STATE / "cache" / ARCHIVE, tmp_path)
    assert sample_photos(tmp_path) == samples
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]


def test_a_damaged_archive_is_not_used(
    samples: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (STATE / "cache" / ARCHIVE).read_bytes()
    (tmp_path / ARCHIVE).write_bytes(whole[:-1])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DownloadFailed):
        sample_photos(tmp_path)
