"""Finds a face in few pixels of a photo, and shows it in as many as make a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.errors import DetectionFailed
from daemon.face.detection import Sighting
from daemon.records import Face, Pixels


@dataclass(frozen=True, slots=True)
class Looks:
    """What finds the face of one photo; `FaceDetector` has the real ones.

    Attributes:
        decode: the photo's pixels, reduced at most so many times.
        find: the face in them, as a first look sees it; in a reduced photo it may miss one.
        look_closer: the same face, exactly.
    """

    decode: Callable[[int], Pixels]
    find: Callable[[Pixels], Sighting]
    look_closer: Callable[[Pixels, Sighting], Face]


def acquire(looks: Looks, face_side_px: int, reduction_max: int) -> tuple[Pixels, Face]:
    """The face that is compared, and the pixels in which it is large enough, or all pixels of the photo.

    Args:
        looks: what decodes the photo and finds its face.
        face_side_px: the longer side of its box that is large enough.
        reduction_max: how many times smaller the photo may be decoded at first.

    Raises:
        RequestError: what `looks` raise.
    """
    pixels = looks.decode(reduction_max)
    try:
        sighting = looks.find(pixels)
    except DetectionFailed:
        if pixels.reduction == 1:
            raise
        pixels = looks.decode(pixels.reduction // 2)
        sighting = looks.find(pixels)
    enough = max(1, int(pixels.reduction * float(sighting.face.box[2:].max()) / face_side_px))
    if enough < pixels.reduction:
        coarse, pixels = pixels.reduction, looks.decode(enough)
        sighting = sighting.enlarged(coarse / pixels.reduction)
    return pixels, looks.look_closer(pixels, sighting)
