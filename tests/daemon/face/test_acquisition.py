"""A face is looked at once where its pixels are enough, and once more in the pixels it needs."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import DetectionFailed
from daemon.face.acquisition import acquire
from daemon.records import Face, Pixels


class Photo:
    """A photo with a face of a side in px; keeps how far it was reduced each time."""

    def __init__(self, face_px: float) -> None:
        self._face_px = face_px
        self.reductions: list[int] = []

    def decode(self, most: int) -> Pixels:
        """The photo, reduced by the largest power of two that is allowed."""
        self.reductions.append(1 << most.bit_length() - 1)
        return Pixels(np.zeros((8, 8, 3), np.uint8), self.reductions[-1])

    def detect(self, pixels: Pixels) -> Face:
        """The face."""
        side = self._face_px / pixels.reduction
        return Face(np.array([0, 0, side / 2, side], np.float32), np.zeros((5, 2), np.float32), 0.9)


@pytest.mark.parametrize(
    ("face_px", "most", "reductions"),
    # By hand, 200 px being enough: a face of 900 px has 112 when reduced 8 times, 225 when reduced 4 times.
    [
        (1600, 8, [8]),
        (1599, 8, [8, 4]),
        (900, 8, [8, 4]),
        (799, 8, [8, 2]),
        (400, 8, [8, 2]),
        (399, 8, [8, 1]),
        (20, 8, [8, 1]),
        (20, 1, [1]),
        (500, 2, [2]),
    ],
)
def test_a_face_gets_the_pixels_it_needs(face_px: float, most: int, reductions: list[int]) -> None:
    photo = Photo(face_px)
    pixels, face = acquire(photo.decode, photo.detect, 200, most)
    assert photo.reductions == reductions
    assert pixels.reduction == reductions[-1]
    assert float(face.box[3]) == face_px / reductions[-1]


def test_a_photo_without_a_face_is_looked_at_once() -> None:
    photo = Photo(0)

    def detect(_pixels: Pixels) -> Face:
        raise DetectionFailed("no face found")

    with pytest.raises(DetectionFailed):
        acquire(photo.decode, detect, 200, 8)
    assert photo.reductions == [8]
