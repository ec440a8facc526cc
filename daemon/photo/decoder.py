"""Step 2 of the pipeline: how long a photo may be, which limits it has, and how many of its pixels are wanted."""

from __future__ import annotations

from collections.abc import Callable

from daemon.config import ExifOrientation, PhotoLimits
from daemon.errors import InvalidContentLength
from daemon.photo.decoding import decode
from daemon.photo.order import Decoded, Order
from daemon.records import Pixels

REDUCTION_MAX = 8
"""Most that a JPEG can be reduced while it is decoded. Source: libjpeg-turbo, `libjpeg.txt`, "scale_num"."""


class PhotoDecoder:
    """Step 2 of the pipeline.

    Args:
        limits: what is accepted.
        decode_one: decodes one photo; in this process where nothing else is said, which is for photos that can be
            trusted: they may crash it.
    """

    def __init__(self, limits: PhotoLimits, decode_one: Callable[[memoryview, Order], Decoded] = decode) -> None:
        self._limits = limits
        self._decode_one = decode_one

    @property
    def face_side_px(self) -> int:
        """Side of a face from which on more pixels make no difference."""
        return self._limits.face_side_px

    def decode(self, photo: memoryview, auto_rotate: bool, reduction_max: int = 1) -> Pixels:
        """The first frame's pixels.

        Args:
            photo: the opened photo's bytes.
            auto_rotate: apply the EXIF orientation; the configuration can apply it always.
            reduction_max: a large JPEG may be decoded so many times smaller, 1 to REDUCTION_MAX.

        Raises:
            InvalidContentLength: no bytes, or too many.
            InvalidPhotoType: not a supported format, damaged, or built to keep the decoder busy.
            InvalidPhotoSize: width or height outside the limits.
            DeviceError: the device cannot decode photos.
        """
        limits = self._limits
        if not 1 <= len(photo) <= limits.max_bytes:
            raise InvalidContentLength(f"{len(photo)} bytes; 1 to {limits.max_bytes} are allowed")
        turn = auto_rotate or limits.exif_orientation is ExifOrientation.ALWAYS
        sides = (limits.min_side_px, limits.max_side_px)
        decoded = self._decode_one(photo, Order(*sides, turn, reduction_max, limits.reduced_side_px))
        return Pixels(decoded.rgb, decoded.reduction)
