"""Tilt, uprightness, and a face brought back from a turned photo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from daemon.face.turning import tilt_deg, turned_back, uprightness
from daemon.records import Face

UPRIGHT = np.array([(40, 50), (60, 50), (50, 60), (43, 70), (57, 70)], np.float32)
"""Right eye, left eye, nose tip, right and left corner of the mouth: eyes above the mouth."""


def _face(landmarks: npt.ArrayLike, confidence: float = 1.0) -> Face:
    return Face(np.array([30, 35, 40, 45], np.float32), np.asarray(landmarks, np.float32), confidence)


def _rotated(turn_deg: float) -> npt.NDArray[np.float64]:
    turn = np.radians(turn_deg)
    middle = UPRIGHT.mean(axis=0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray((UPRIGHT - middle) @ rotation.T + middle, np.float64)


@pytest.mark.parametrize("turn_deg", [-180, -135, -90, -30, 0, 10, 45, 90, 179])
def test_a_face_turned_by_an_angle_has_that_tilt(turn_deg: float) -> None:
    assert tilt_deg(_face(_rotated(turn_deg))) == pytest.approx(abs(turn_deg), abs=1e-3)


@pytest.mark.parametrize(("turn_deg", "expected"), [(0, 0.9), (60, 0.45), (90, 0.0), (180, -0.9)])
def test_uprightness_is_confidence_times_the_cosine_of_the_tilt(turn_deg: float, expected: float) -> None:
    assert uprightness(_face(_rotated(turn_deg), 0.9)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_pixel_found_in_a_turned_photo_is_the_same_pixel_of_the_photo(turns: int) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)
    turned = np.rot90(photo, turns)  # numpy's own turning is the witness
    face = turned_back(_face(UPRIGHT), turns, turned)
    for (x, y), (back_x, back_y) in zip(UPRIGHT.astype(int), face.landmarks.astype(int), strict=True):
        np.testing.assert_array_equal(photo[back_y, back_x], turned[y, x])


def test_a_box_brought_back_from_a_quarter_turn_is_where_the_face_is() -> None:
    # By hand: 100 px wide before the turn; (30, 35) was at (64, 30), (70, 80) at (19, 70).
    face = turned_back(_face(UPRIGHT), 1, np.zeros((100, 90, 3), np.uint8))
    np.testing.assert_allclose(face.box, (19, 30, 45, 40))
    assert face.confidence == 1.0
