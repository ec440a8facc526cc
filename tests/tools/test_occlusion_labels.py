"""What is known of real photos is read from a file; the committed files name photos that exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daemon.errors import ConfigurationRefused
from tests.conftest import REPOSITORY, SHARED_DATA
from tools.occlusion_labels import NOTHING, known_covers

COMMITTED = REPOSITORY / "trt_engines" / "sface" / "known_covers"
FOLDERS = {"lfw.csv": SHARED_DATA / "lfw", "occlusion.csv": SHARED_DATA / "occlusion" / "images"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three photos."""
    path = tmp_path / "known.csv"
    path.write_text(
        "photo,shows,covered,unsure\n"
        "a/1.jpg,dark glasses,left_eye right_eye,\n"
        "b/1.jpg,hand,mouth,nose\n"
        "c/1.jpg,spectacles,,\n"
    )
    return path


def test_covered_regions_are_0_unsure_ones_nan_and_others_1(file: Path) -> None:
    known = known_covers(file)
    # Order: left eye, right eye, nose, mouth.
    np.testing.assert_array_equal(known["a/1.jpg"].visible, [0, 0, 1, 1])
    np.testing.assert_array_equal(known["b/1.jpg"].visible, [1, 1, np.nan, 0])
    assert [photo.shows for photo in known.values()] == ["dark glasses", "hand", "spectacles"]


def test_a_photo_is_clean_where_every_region_is_surely_visible(file: Path) -> None:
    known = known_covers(file)
    assert [known[name].clean for name in ("a/1.jpg", "b/1.jpg", "c/1.jpg")] == [False, False, True]
    assert NOTHING.clean


def test_a_region_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text("photo,shows,covered,unsure\na/1.jpg,hat,forehead,\n")
    with pytest.raises(ConfigurationRefused, match="forehead"):
        known_covers(path)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text("photo,shows\na/1.jpg,hat\n")
    with pytest.raises(ConfigurationRefused, match="covered, unsure"):
        known_covers(path)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_committed_file_is_read_whole(name: str) -> None:
    known = known_covers(COMMITTED / name)
    assert len(known) == len((COMMITTED / name).read_text("utf-8").splitlines()) - 1
    assert sum(photo.shows == "dark glasses" and not photo.clean for photo in known.values()) >= 5


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FOLDERS)
def test_every_photo_that_a_committed_file_names_exists(name: str) -> None:
    assert [photo for photo in known_covers(COMMITTED / name) if not (FOLDERS[name] / photo).is_file()] == []
