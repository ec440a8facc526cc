"""One photo: the limits come before the pixels, and the pixels go where they are asked to be."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from daemon.errors import InvalidPhotoSize
from daemon.photo.decoding import decode
from daemon.photo.order import Order
from daemon.records import Bytes
from tests.daemon.photo.photo_files import SCENE, chunk, photo_file

ORDER = Order(8, 5000, 0, 1, 1250)


def test_pixels_go_where_they_are_asked_to_be() -> None:
    given: list[Bytes] = []

    def allocate(shape: tuple[int, int, int]) -> Bytes:
        given.append(np.zeros(shape, np.uint8))
        return given[0]

    decoded = decode(memoryview(photo_file("PNG")), ORDER, allocate)
    assert decoded.rgb is given[0]
    np.testing.assert_array_equal(given[0], SCENE)


def test_a_size_is_refused_before_memory_is_asked_for() -> None:
    def allocate(_shape: tuple[int, int, int]) -> Bytes:
        raise AssertionError

    header = struct.pack(">IIBBBBB", 5001, 5001, 8, 2, 0, 0, 0)
    photo = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    for turn in (0, 1):
        with pytest.raises(InvalidPhotoSize):
            decode(memoryview(photo), Order(8, 5000, turn, 1, 1250), allocate)
