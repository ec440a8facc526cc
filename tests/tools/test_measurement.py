"""Embeddings of a labelled set: right, kept, and continued after an interruption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daemon.config import Config
from daemon.errors import ConfigurationRefused
from tools.extraction import labelled_photos
from tools.measurement import Measured, measure


@pytest.fixture
def people(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """Two identities, one of them with two photos, and a file that is no photo."""
    for identity, names in {"a": ("obama", "obama2"), "b": ("biden",)}.items():
        (tmp_path / "people" / identity).mkdir(parents=True)
        for name in names:
            (tmp_path / "people" / identity / f"{name}.jpg").write_bytes(samples[name])
    (tmp_path / "people" / "b" / "noise.png").write_bytes(b"no photo at all")
    return tmp_path / "people"


def _measure(people: Path, config: Config, work: Path) -> Measured:
    return measure(labelled_photos(people), config.inference, work, threads=2)


def test_mated_photos_are_closer_than_non_mated_ones(people: Path, config: Config, tmp_path: Path) -> None:
    measured = _measure(people, config, tmp_path / "work")
    scores = measured.embeddings @ measured.embeddings.T
    assert [photo.path.stem for photo in measured.photos] == ["obama", "obama2", "biden"]
    assert scores[0, 1] > 0.5 > scores[0, 2]


def test_what_is_no_photo_is_a_failure_to_acquire(people: Path, config: Config, tmp_path: Path) -> None:
    measured = _measure(people, config, tmp_path / "work")
    assert [path.name for path in measured.failures] == ["noise.png"]


def test_a_second_run_reads_what_the_first_kept(people: Path, config: Config, tmp_path: Path) -> None:
    first = _measure(people, config, tmp_path / "work")
    (kept,) = (tmp_path / "work").glob("*.npy")
    np.save(kept, np.load(kept) * np.float32(-1))
    second = _measure(people, config, tmp_path / "work")
    assert np.array_equal(second.embeddings, -first.embeddings)


def test_a_changed_photo_is_measured_anew(people: Path, config: Config, tmp_path: Path) -> None:
    _measure(people, config, tmp_path / "work")
    (people / "b" / "biden.jpg").write_bytes((people / "a" / "obama.jpg").read_bytes())
    changed = _measure(people, config, tmp_path / "work")
    assert changed.embeddings[0] @ changed.embeddings[2] == pytest.approx(1, abs=1e-5)


def test_a_set_without_faces_is_refused(config: Config, tmp_path: Path) -> None:
    for identity in ("a", "b"):
        (tmp_path / "people" / identity).mkdir(parents=True)
        (tmp_path / "people" / identity / "noise.png").write_bytes(b"no photo at all")
    with pytest.raises(ConfigurationRefused, match="faces were found in 0 photos"):
        _measure(tmp_path / "people", config, tmp_path / "work")
