"""A labelled folder gives its photos in a fixed order, and of each photo a face or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daemon.errors import ConfigurationRefused
from daemon.face.detection import FaceDetector
from tests.conftest import REPOSITORY, STATE
from tools.engines import detector_from_source
from tools.extraction import face_crop, face_crops, labelled_photos


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return detector_from_source(REPOSITORY / "trt_engines" / "yunet", STATE / "cache")


@pytest.fixture
def folder(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """Two identities, three photos, and what is none."""
    for identity, name in (("obama", "obama2.JPG"), ("obama", "obama.jpeg"), ("biden", "biden.jpg")):
        (tmp_path / identity).mkdir(exist_ok=True)
        (tmp_path / identity / name).write_bytes(samples[Path(name).stem])
    (tmp_path / "obama" / "notes.txt").write_text("no photo")
    (tmp_path / "alone.jpg").write_bytes(samples["biden"])
    return tmp_path


def test_photos_come_by_identity_and_name(folder: Path) -> None:
    assert [(photo.identity, photo.path) for photo in labelled_photos(folder)] == [
        ("biden", folder / "biden" / "biden.jpg"),
        ("obama", folder / "obama" / "obama.jpeg"),
        ("obama", folder / "obama" / "obama2.JPG"),
    ]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="is no folder"):
        labelled_photos(tmp_path / "absent")


def test_a_single_identity_is_refused(folder: Path) -> None:
    (folder / "biden" / "biden.jpg").unlink()
    with pytest.raises(ConfigurationRefused, match="photos of 1 identities, at least 2"):
        labelled_photos(folder)


def test_a_face_gives_an_aligned_crop(folder: Path, detector: FaceDetector) -> None:
    crop = face_crop(folder / "biden" / "biden.jpg", detector)
    assert crop is not None
    assert crop.rgb.shape == (112, 112, 3)


def test_what_is_no_photo_is_a_failure_to_acquire(folder: Path, detector: FaceDetector) -> None:
    assert face_crop(folder / "obama" / "notes.txt", detector) is None


def test_crops_come_in_the_order_of_their_photos(folder: Path, detector: FaceDetector) -> None:
    paths = [folder / "biden" / "biden.jpg", folder / "obama" / "notes.txt", folder / "obama" / "obama.jpeg"]
    together = list(face_crops(paths, detector, threads=3))
    alone = [face_crop(path, detector) for path in paths]
    assert [crop is None for crop in together] == [False, True, False]
    for one, other in zip(together, alone, strict=True):
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.rgb, other.rgb)
