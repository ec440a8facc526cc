"""What is asked of a decoder for one photo, and what it gives."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Protocol

import numpy as np

from daemon.errors import InvalidPhotoSize
from daemon.records import Bytes

BAND_PX = 128
"""Rows converted at once: what a conversion needs beside the photo stays at a few MB, whatever the photo's size."""

_WIRE = struct.Struct("<6I")


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a decoder for one photo.

    Attributes:
        min_side_px: least width and height, inclusive.
        max_side_px: greatest width and height, inclusive.
        turn: 1 to apply the orientation that the photo names, 0 to leave the pixels as stored.
        reduction_max: a JPEG may be decoded so many times smaller: 1, 2, 4 or 8.
        reduced_side_px: the side of a square of as many pixels stays at least this, unless it is smaller already.
        photo_bytes: how long the photo is, where it lies at the beginning of memory that is larger.
    """

    min_side_px: int
    max_side_px: int
    turn: int
    reduction_max: int
    reduced_side_px: int
    photo_bytes: int = 0

    def check_size(self, size_px: tuple[int, int]) -> None:
        """Check a width and height.

        Raises:
            InvalidPhotoSize: one of them is outside the limits.
        """
        low, high = self.min_side_px, self.max_side_px
        if not all(low <= side <= high for side in size_px):
            raise InvalidPhotoSize(f"{size_px[0]} x {size_px[1]} px; {low} to {high} px are allowed")

    def reduction(self, size_px: tuple[int, int]) -> int:
        """How many times smaller a photo of a width and height is to be decoded: 1, 2, 4 or 8."""
        most = min(self.reduction_max, math.isqrt(math.prod(size_px)) // self.reduced_side_px)
        return max(times for times in (1, 2, 4, 8) if times <= max(1, most))

    def packed(self) -> bytes:
        """The order as bytes, for another process."""
        return _WIRE.pack(*astuple(self))

    @classmethod
    def unpacked(cls, order: bytes) -> Order:
        """The order that `packed` made bytes of."""
        return cls(*_WIRE.unpack(order))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded photo.

    Attributes:
        rgb: uint8 (height, width, 3), 0..255, RGB.
        reduction: how many times smaller than the photo it is.
    """

    rgb: Bytes
    reduction: int


Allocate = Callable[[tuple[int, int, int]], Bytes]
"""Gives zeroed uint8 of a shape (height, width, 3); a process puts it where another one can see it."""


def allocate_here(shape: tuple[int, int, int]) -> Bytes:
    """Memory of this process for pixels."""
    return np.zeros(shape, np.uint8)


class Picture(Protocol):
    """A photo whose header was read."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height, as the header says and before it is reduced."""

    @property
    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8; 1 where there is none."""

    def reduce(self, times: int) -> int:
        """Ask for a photo so many times smaller; how many times smaller it will be."""

    def draw(self, stored: Bytes) -> None:
        """Write the pixels as stored.

        Args:
            stored: where they go, uint8 (height, width, 3), 0..255, RGB; in any order in memory.

        Raises:
            InvalidPhotoType: the photo does not decode.
        """
