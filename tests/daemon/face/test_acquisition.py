"""A face is looked for in few pixels, and looked at closely in as many as it needs."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import DetectionFailed
from daemon.face.acquisition import Looks, acquire
from daemon.face.detection import Sighting
from daemon.records import Face, Pixels


class Photo:
    """A photo with a face of a side in px; keeps how far it was reduced each time.

    Args:
        face_px: the side.
        found_from_px: the face is found where it has so many px.
    """

    def __init__(self, face_px: float, found_from_px: float = 0) -> None:
        self._face_px = face_px
        self._found_from_px = found_from_px
        self.reductions: list[int] = []
        self.looks = Looks(self._decode, self._find, self._look_closer)

    def _decode(self, most: int) -> Pixels:
        self.reductions.append(1 << most.bit_length() - 1)
        return Pixels(np.zeros((8, 8, 3), np.uint8), self.reductions[-1])

    def _find(self, pixels: Pixels) -> Sighting:
        side = self._face_px / pixels.reduction
        if side < self._found_from_px:
            raise DetectionFailed("no face found")
        return Sighting(0, Face(np.array([0, 0, side / 2, side], np.float32), np.zeros((5, 2), np.float32), 0.9))

    def _look_closer(self, pixels: Pixels, sighting: Sighting) -> Face:
        assert pixels.reduction == self.reductions[-1]
        return sighting.face


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
    pixels, face = acquire(photo.looks, 200, most)
    assert photo.reductions == reductions
    assert pixels.reduction == reductions[-1]
    assert float(face.box[3]) == face_px / reductions[-1]


def test_a_face_that_is_not_found_in_few_pixels_is_looked_for_in_twice_as_many() -> None:
    photo = Photo(1000, found_from_px=200)
    pixels, face = acquire(photo.looks, 200, 8)
    assert photo.reductions == [8, 4]
    assert (pixels.reduction, float(face.box[3])) == (4, 250)


@pytest.mark.parametrize(("most", "reductions"), [(8, [8, 4]), (1, [1])])
def test_a_photo_without_a_face_is_refused(most: int, reductions: list[int]) -> None:
    photo = Photo(1000, found_from_px=1e9)
    with pytest.raises(DetectionFailed):
        acquire(photo.looks, 200, most)
    assert photo.reductions == reductions
