"""What the decoder asks for: limits of the configuration, the orientation, and how far a photo may be reduced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from daemon.config import ExifOrientation
from daemon.errors import InvalidContentLength
from daemon.photo.decoder import PhotoDecoder
from daemon.photo.order import Decoded, Order
from tools.extraction import LIMITS


class Recording:
    """Keeps what is asked of it, and gives a photo that was reduced twice."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def __call__(self, _photo: memoryview, order: Order) -> Decoded:
        self.orders.append(order)
        return Decoded(np.zeros((8, 9, 3), np.uint8), 2)


def test_the_order_is_what_the_configuration_and_the_request_say() -> None:
    asked = Recording()
    limits = dataclasses.replace(LIMITS, min_side_px=9, max_side_px=99, reduced_side_px=55)
    pixels = PhotoDecoder(limits, asked).decode(memoryview(b"photo"), auto_rotate=True, reduction_max=4)
    assert asked.orders == [Order(9, 99, True, 4, 55)]
    assert (pixels.rgb.shape, pixels.reduction) == ((8, 9, 3), 2)


@pytest.mark.parametrize(
    ("setting", "auto_rotate", "turn"),
    [
        (ExifOrientation.PARAMETER, False, False),
        (ExifOrientation.PARAMETER, True, True),
        (ExifOrientation.ALWAYS, False, True),
        (ExifOrientation.ALWAYS, True, True),
    ],
)
def test_the_orientation_is_applied_where_asked_or_always(
    setting: ExifOrientation, auto_rotate: bool, turn: bool
) -> None:
    asked = Recording()
    PhotoDecoder(dataclasses.replace(LIMITS, exif_orientation=setting), asked).decode(memoryview(b"a"), auto_rotate)
    assert asked.orders[0].turn == turn


@pytest.mark.parametrize("length", [0, 5 * 1024 * 1024 + 1])
def test_a_wrong_length_is_refused_before_anything_is_asked(length: int) -> None:
    asked = Recording()
    with pytest.raises(InvalidContentLength):
        PhotoDecoder(LIMITS, asked).decode(memoryview(bytes(length)), auto_rotate=False)
    assert asked.orders == []
