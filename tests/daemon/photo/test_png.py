"""PNG: every depth and colour type, interlaced or not, gives the pixels that were written."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daemon.errors import InvalidPhotoType
from tests.daemon.photo.photo_files import Rgb, chunk, decoded, png

RANDOM = np.random.default_rng(6)
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
KINDS = [(depth, kind) for kind in (GREY, PALETTE) for depth in (1, 2, 4, 8, 16) if (depth, kind) != (16, PALETTE)]
KINDS += [(depth, kind) for kind in (COLOUR, GREY_ALPHA, COLOUR_ALPHA) for depth in (8, 16)]
COLOURS: Rgb = RANDOM.integers(0, 256, (256, 3), np.uint8)
CLEAR: Rgb = RANDOM.integers(0, 256, 256, np.uint8)

_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column, step of rows and columns. Source: PNG (third edition), section 8.1, Adam7."""


def _rows(samples: npt.NDArray[Any], depth: int) -> bytes:
    """Rows of samples, each with no filter."""
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    spread = np.unpackbits(samples.astype(np.uint8).reshape(len(samples), -1, 1), axis=2)[..., 8 - depth :]
    return b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in spread)


def _photo(samples: npt.NDArray[Any], depth: int, kind: int, interlaced: bool, *between: bytes) -> bytes:
    height, width = samples.shape[:2]
    if not interlaced:
        return png((width, height), (depth, kind), _rows(samples, depth), *between)
    passes = (samples[top::rows, left::columns] for top, left, rows, columns in _PASSES)
    stored = b"".join(_rows(part, depth) for part in passes if part.size)
    photo = png((width, height), (depth, kind), stored, *between)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 1)
    return photo[:8] + chunk(b"IHDR", header) + photo[8 + 25 :]


def _expected(samples: npt.NDArray[Any], depth: int, kind: int, clear: bool) -> npt.NDArray[np.float64]:
    """By arithmetic: samples to 0..255, and on white by their alpha."""
    if kind == PALETTE:
        colours, alpha = COLOURS[samples[..., 0]].astype(float), CLEAR[samples].astype(float)
        alpha = alpha if clear else np.full_like(alpha, 255)
    else:
        scaled = samples >> 8 if depth == 16 else samples * 255.0 / ((1 << depth) - 1)
        colours, alpha = scaled[..., :3].astype(float), np.full((*samples.shape[:2], 1), 255.0)
        if kind in (GREY_ALPHA, COLOUR_ALPHA):
            colours, alpha = scaled[..., :-1].astype(float), scaled[..., -1:].astype(float)
    return np.broadcast_to(colours * alpha / 255 + 255 - alpha, (*samples.shape[:2], 3))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize(("depth", "kind"), KINDS)
def test_every_kind_gives_its_pixels(depth: int, kind: int, clear: bool, interlaced: bool) -> None:
    samples = RANDOM.integers(0, 1 << depth, (19, 33, CHANNELS[kind]), np.uint16)
    between = [chunk(b"PLTE", COLOURS[: 1 << depth].tobytes())] if kind == PALETTE else []
    between += [chunk(b"tRNS", CLEAR[: 1 << depth].tobytes())] if kind == PALETTE and clear else []
    away = np.abs(decoded(_photo(samples, depth, kind, interlaced, *between)) - _expected(samples, depth, kind, clear))
    assert away.max() <= 1, "rounding"


@pytest.mark.parametrize(("depth", "kind"), [(depth, kind) for depth, kind in KINDS if kind in (GREY, COLOUR)])
def test_the_clear_colour_is_white(depth: int, kind: int) -> None:
    samples = RANDOM.integers(0, 1 << depth, (19, 33, CHANNELS[kind]), np.uint16)
    key = samples[4, 5]
    photo = _photo(samples, depth, kind, False, chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
    expected = np.where((samples == key).all(axis=2, keepdims=True), 255, _expected(samples, depth, kind, False))
    assert np.abs(decoded(photo) - expected).max() <= 1, "rounding"


@pytest.mark.parametrize("filtered", [1, 2, 3, 4])
def test_filtered_rows_are_undone(filtered: int) -> None:
    # Source: PNG (third edition), section 9.2; with nothing but zeros stored every filter gives zeros.
    photo = png((8, 8), (8, COLOUR), (bytes([filtered]) + bytes(24)) * 8)
    assert not decoded(photo).any()


def test_more_than_one_colour_profile_is_refused() -> None:
    profile = chunk(b"iCCP", b"a\0\0")
    with pytest.raises(InvalidPhotoType, match="more than one colour profile"):
        decoded(_photo(np.zeros((8, 8, 3), np.uint16), 8, COLOUR, False, profile, profile))


def test_pixels_in_many_small_chunks_decode_and_in_far_too_many_are_refused() -> None:
    whole = _photo(RANDOM.integers(0, 256, (64, 64, 1), np.uint16), 8, GREY, False)
    at = whole.index(b"IDAT") - 4
    body = whole[at + 8 : -16]
    small = b"".join(chunk(b"IDAT", body[place : place + 2]) for place in range(0, len(body), 2))
    np.testing.assert_array_equal(decoded(whole[:at] + small + whole[-12:]), decoded(whole))
    with pytest.raises(InvalidPhotoType):
        decoded(whole[:at] + chunk(b"IDAT", b"") * 60_000 + small + whole[-12:])
