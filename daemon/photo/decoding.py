"""One photo: told by its content what it is, checked against the limits, and decoded upright.

Limits are checked from the header, before a pixel is decoded. Only the first frame counts. Alpha is put on white.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.photo import bmp, pictures
from daemon.photo.order import Allocate, Decoded, Order, Picture, allocate_here
from daemon.records import Bytes

_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height. Source: Exif 2.32, section 4.6.4."""

_STORED: dict[int, Callable[[Bytes], Bytes]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}
"""An upright photo's pixels in the order in which they are stored. Source: Exif 2.32, section 4.6.4."""


def decode(photo: memoryview, order: Order, allocate: Allocate = allocate_here) -> Decoded:
    """The first frame's pixels.

    Args:
        photo: the photo's bytes.
        order: limits, and what is wanted.
        allocate: where the pixels are to be.

    Raises:
        InvalidPhotoType: not a supported format, damaged, or built to keep the decoder busy.
        InvalidPhotoSize: width or height outside the limits.
    """
    picture: Picture = bmp.opened(photo) if photo[:2] == bmp.SIGNATURE else pictures.opened(photo)
    order.check_size(picture.size_px)
    reduction = picture.reduce(order.reduction(picture.size_px))
    orientation = picture.orientation if order.turn else 1
    width, height = (-(-side // reduction) for side in picture.size_px)
    sideways = orientation in _SIDEWAYS
    rgb = allocate((width, height, 3) if sideways else (height, width, 3))
    picture.draw(_STORED[orientation](rgb))
    return Decoded(rgb, reduction)
