"""`fvctl turns` measures what auto_rotate promises; on the photos for measuring the promise holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED_DATA, Site
from tools.cli import main
from tools.orientations import TURNED, jpeg
from tools.turns import WAYS
from tools.witness import small_copy

COUNT = 25
"""Photos in this test; the whole measurement, of 1,000, is the command in trt_engines/yunet/README.md."""


def _measured(
    site: Site, photos: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    code = main(["turns", str(photos), "--config", str(site.write()), "--count", str(count), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def folder(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """A labelled folder of two photos."""
    for name in ("obama", "biden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jpg").write_bytes(samples[name])
    return tmp_path


def test_photos_that_come_out_right_every_way_end_with_0(
    site: Site, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = _measured(site, folder, 1000, capsys)
    assert code == 0
    assert [row["stored"] for row in rows] == ["upright, not asked for", *(way.name for way in WAYS)]
    assert {(row["photos"], row["turned_right"], row["score_0.9"]) for row in rows} == {(2, 2, 2)}


def test_photos_that_are_not_upright_themselves_end_with_1(
    site: Site, folder: Path, samples: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:

    turned = TURNED[1].stored(small_copy(samples["biden"], 480).rgb)
    (folder / "biden" / "biden.jpg").write_bytes(jpeg(turned, None))
    code, rows = _measured(site, folder, 1000, capsys)
    assert code == 1
    assert {row["stored"]: row["verdict"] for row in rows}["upright"] == "too few"


@pytest.mark.shared_data
def test_turned_photos_of_lfw_are_turned_right_and_upright_ones_never(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = _measured(site, SHARED_DATA / "lfw", COUNT, capsys)
    assert {row["photos"] for row in rows} == {COUNT}
    assert [(row["stored"], row["verdict"]) for row in rows if row["verdict"] != "holds"] == []
    assert code == 0
