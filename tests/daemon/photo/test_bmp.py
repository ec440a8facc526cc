"""BMP: every depth, header and row order gives the pixels that were written; what is damaged is refused."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from daemon.errors import InvalidPhotoSize, InvalidPhotoType
from tests.daemon.photo.bmp_files import (
    ALPHA_FIELDS,
    FIELDS,
    OS2_1,
    OS2_2,
    RLE4,
    RLE8,
    WINDOWS_3,
    WINDOWS_5,
    Bmp,
    packed,
    padded,
    runs4,
    runs8,
    words,
)
from tests.daemon.photo.photo_files import Rgb, decoded

RANDOM = np.random.default_rng(3)
PALETTE: Rgb = RANDOM.integers(0, 256, (256, 3), np.uint8)
HEADERS = pytest.mark.parametrize("header_bytes", [OS2_1, 16, 40, 52, 56, OS2_2, 108, WINDOWS_5])


def _indices(bits: int, width: int = 37, height: int = 11) -> Rgb:
    return RANDOM.integers(0, 1 << bits, (height, width), np.uint8)


def _palette(bits: int) -> list[tuple[int, int, int]]:
    return [(int(r), int(g), int(b)) for r, g, b in PALETTE[: 1 << bits]]


def _with_palette(bits: int, pixels: bytes, header_bytes: int = WINDOWS_3) -> Bmp:
    return Bmp(37, 11, bits, pixels, header_bytes, palette=_palette(bits))


@HEADERS
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_gives_its_colours_with_every_header(bits: int, header_bytes: int) -> None:
    indices = _indices(bits)
    photo = _with_palette(bits, packed(indices, bits), header_bytes=header_bytes).file()
    np.testing.assert_array_equal(decoded(photo), PALETTE[indices])


@HEADERS
def test_24_bits_are_blue_green_red_with_every_header(header_bytes: int) -> None:
    rgb = RANDOM.integers(0, 256, (9, 13, 3), np.uint8)
    stored = b"".join(padded(row[:, ::-1].tobytes()) for row in rgb[::-1])
    np.testing.assert_array_equal(decoded(Bmp(13, 9, 24, stored, header_bytes).file()), rgb)


def _scaled(values: npt.NDArray[Any], most: int) -> Rgb:
    """A channel of few bits as one of eight."""
    return (values * 255 // most).astype(np.uint8)


@pytest.mark.parametrize(
    ("bits", "widths", "stored", "header_bytes"),
    [
        (16, (5, 5, 5), 0, WINDOWS_3),
        (16, (5, 5, 5), FIELDS, WINDOWS_3),
        (16, (5, 6, 5), FIELDS, WINDOWS_3),
        (16, (4, 4, 4), FIELDS, WINDOWS_3),
        (16, (5, 6, 5), FIELDS, WINDOWS_5),
        (32, (8, 8, 8), 0, WINDOWS_3),
        (32, (8, 8, 8), FIELDS, WINDOWS_3),
        (32, (8, 8, 8), FIELDS, 52),
        (32, (10, 10, 10), FIELDS, WINDOWS_5),
    ],
)
def test_bit_fields_are_brought_to_eight_bits(
    bits: int, widths: tuple[int, int, int], stored: int, header_bytes: int
) -> None:
    channels = [RANDOM.integers(0, 1 << width, (9, 13), np.uint32) for width in widths]
    shifts = (widths[1] + widths[2], widths[2], 0)
    values = np.zeros((9, 13), np.uint32)
    for channel, shift in zip(channels, shifts, strict=True):
        values |= (channel << np.uint32(shift)).astype(np.uint32)
    fields = [((1 << width) - 1) << shift for width, shift in zip(widths, shifts, strict=True)] if stored else []
    photo = Bmp(13, 9, bits, words(values, bits), header_bytes, stored, fields).file()
    # Beyond eight bits the upper eight count.
    upper = [channel >> np.uint32(max(0, width - 8)) for channel, width in zip(channels, widths, strict=True)]
    expected = [_scaled(part, (1 << min(8, width)) - 1) for part, width in zip(upper, widths, strict=True)]
    np.testing.assert_array_equal(decoded(photo), np.stack(expected, axis=-1))


@pytest.mark.parametrize(("header_bytes", "stored"), [(WINDOWS_5, FIELDS), (56, FIELDS), (WINDOWS_3, ALPHA_FIELDS)])
def test_alpha_is_put_on_white(header_bytes: int, stored: int) -> None:
    # A quarter, half and all of red: 255 - 255 * alpha / 255 of the other colours.
    values = np.tile(np.array([0x40FF0000, 0x80FF0000, 0xFFFF0000, 0], np.uint32), (8, 2))
    photo = Bmp(8, 8, 32, words(values, 32), header_bytes, stored, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)).file()
    expected = [(255, 191, 191), (255, 127, 127), (255, 0, 0), (255, 255, 255)] * 2
    np.testing.assert_array_equal(decoded(photo)[0], expected)


def test_an_alpha_field_that_is_empty_everywhere_counts_for_nothing() -> None:
    values = np.full((8, 8), 0x00FF8000, np.uint32)
    photo = Bmp(8, 8, 32, words(values, 32), WINDOWS_5, FIELDS, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)).file()
    np.testing.assert_array_equal(decoded(photo), np.full((8, 8, 3), (255, 128, 0)))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_height_below_zero_stores_the_top_first(bits: int) -> None:
    indices = _indices(bits)
    photo = dataclasses.replace(_with_palette(bits, packed(indices[::-1], bits)), height=-11).file()
    np.testing.assert_array_equal(decoded(photo), PALETTE[indices])


@pytest.mark.parametrize(("bits", "stored", "encode"), [(8, RLE8, runs8), (4, RLE4, runs4)])
@pytest.mark.parametrize("header_bytes", [WINDOWS_3, OS2_2])
def test_runs_give_what_was_written_and_what_opencv_reads(
    bits: int, stored: int, encode: Callable[[Rgb], bytes], header_bytes: int
) -> None:
    indices = np.repeat(_indices(bits, 10, 11), RANDOM.integers(1, 9, 10), axis=1)
    photo = Bmp(indices.shape[1], 11, bits, encode(indices), header_bytes, stored, palette=_palette(bits)).file()
    np.testing.assert_array_equal(decoded(photo), PALETTE[indices])
    if header_bytes == WINDOWS_3:
        seen = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decoded(photo), np.asarray(seen)[..., ::-1])


def test_runs_of_the_largest_photo_decode() -> None:
    row = b"".join(bytes([200, colour]) for colour in range(25)) + b"\0\0"
    photo = Bmp(5000, 5000, 8, row * 4999 + row[:-2] + b"\0\1", stored=RLE8, palette=_palette(8)).file()
    expected = np.repeat(PALETTE[:25], 200, axis=0)
    assert np.array_equal(decoded(photo)[[0, 2500, 4999]], np.stack([expected] * 3))


def test_a_palette_that_is_too_short_leaves_black() -> None:
    photo = dataclasses.replace(
        _with_palette(8, packed(np.full((11, 37), 200, np.uint8), 8)), palette=_palette(4)
    ).file()
    assert not decoded(photo).any()


_WHOLE = _with_palette(8, packed(_indices(8), 8))


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(b"BM", id="a signature alone"),
        pytest.param(_WHOLE.file()[:17], id="no size of the header"),
        pytest.param(_WHOLE.file()[:30], id="half a header"),
        pytest.param(_WHOLE.file()[:-1], id="a byte too few"),
        pytest.param(dataclasses.replace(_WHOLE, bits=3).file(), id="3 bits"),
        pytest.param(dataclasses.replace(_WHOLE, bits=64).file(), id="64 bits"),
        pytest.param(dataclasses.replace(_WHOLE, stored=4).file(), id="a JPEG inside"),
        pytest.param(dataclasses.replace(_WHOLE, stored=RLE4).file(), id="runs of 4 bits for 8"),
        pytest.param(dataclasses.replace(_WHOLE, header_bytes=41).file(), id="an unknown header"),
        pytest.param(dataclasses.replace(_WHOLE, header_bytes=OS2_2, stored=3).file(), id="Huffman codes of OS/2"),
        pytest.param(Bmp(8, 8, 32, bytes(256), WINDOWS_3, FIELDS, (0xF0F, 0xFF00, 0xFF)).file(), id="field with gaps"),
        pytest.param(Bmp(8, 8, 32, b"", WINDOWS_3, FIELDS).file(), id="no fields"),
        pytest.param(dataclasses.replace(_WHOLE, stored=RLE8, pixels=b"\x05\1").file(), id="runs that end early"),
        pytest.param(dataclasses.replace(_WHOLE, stored=RLE8, pixels=b"\0\x05\1").file(), id="half a literal"),
    ],
)
def test_a_damaged_or_unknown_kind_is_refused(photo: bytes) -> None:
    with pytest.raises(InvalidPhotoType):
        decoded(photo)


@pytest.mark.parametrize("sides", [(65535, 65535), (0, 8), (-8, 8), (8, 0), (8, -(2**31))])
def test_sides_beyond_the_limits_are_refused(sides: tuple[int, int]) -> None:
    photo = bytearray(_WHOLE.file())
    photo[18:26] = struct.pack("<ii", *sides)
    with pytest.raises(InvalidPhotoSize):
        decoded(bytes(photo))
