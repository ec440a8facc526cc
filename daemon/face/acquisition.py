"""Finds a face in few pixels of a photo where these are enough, and in more where they are not."""

from __future__ import annotations

from collections.abc import Callable

from daemon.records import Face, Pixels


def acquire(
    decode: Callable[[int], Pixels], detect: Callable[[Pixels], Face], face_side_px: int, reduction_max: int
) -> tuple[Pixels, Face]:
    """The face that is compared, and the pixels in which it is large enough, or all pixels of the photo.

    Args:
        decode: the photo's pixels, reduced at most so many times.
        detect: the face in them.
        face_side_px: the longer side of its box that is large enough.
        reduction_max: how many times smaller the photo may be decoded at first.

    Raises:
        RequestError: what `decode` and `detect` raise.
    """
    pixels = decode(reduction_max)
    face = detect(pixels)
    enough = max(1, int(pixels.reduction * float(face.box[2:].max()) / face_side_px))
    if enough < pixels.reduction:
        pixels = decode(enough)
        face = detect(pixels)
    return pixels, face
