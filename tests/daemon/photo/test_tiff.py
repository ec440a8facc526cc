"""TIFF: every layout, compression and pixel kind of the contract gives the pixels that were written."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from daemon.errors import InvalidPhotoType
from tests.daemon.photo.photo_files import Rgb, decoded, photo_file
from tests.daemon.photo.tiff_files import (
    BLACK_IS_ZERO,
    CMYK,
    COMPRESSIONS,
    EXTRA_SAMPLES,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    Tiff,
)

RANDOM = np.random.default_rng(4)
COLOURS: Rgb = RANDOM.integers(0, 256, (21, 35, 3), np.uint8)
DEEP: npt.NDArray[np.uint16] = RANDOM.integers(0, 65536, (21, 35, 4), np.uint16)
COLOUR_MAP = 320


def _grey(bits: int) -> Rgb:
    return RANDOM.integers(0, 1 << bits, (21, 35, 1), np.uint8)


def _as_rgb(grey: npt.NDArray[Any]) -> Rgb:
    return np.repeat(grey.astype(np.uint8), 3, axis=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "layout", [{}, {"rows": 100}, {"tile": (16, 16)}, {"planar": 2}, {"tile": (16, 32), "planar": 2}]
)
def test_every_layout_gives_its_pixels(order: str, compression: int, layout: dict[str, Any]) -> None:
    photo = Tiff(COLOURS, RGB, compression=compression, order=order, **layout).file()
    np.testing.assert_array_equal(decoded(photo), COLOURS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [5, 8])
@pytest.mark.parametrize("planar", [1, 2])
def test_differences_are_added_up(order: str, compression: int, planar: int) -> None:
    photo = Tiff(COLOURS, RGB, compression=compression, order=order, predictor=2, planar=planar)
    np.testing.assert_array_equal(decoded(photo.file()), COLOURS)
    deep = dataclasses.replace(photo, samples=DEEP[..., :3], bits=16, planar=1)
    np.testing.assert_array_equal(decoded(deep.file()), DEEP[..., :3] >> 8)


@pytest.mark.parametrize("compression", [1, 8])
def test_a_big_tiff_gives_its_pixels(compression: int) -> None:
    np.testing.assert_array_equal(decoded(Tiff(COLOURS, RGB, compression=compression, big=True).file()), COLOURS)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_big_tiff_with_the_high_byte_first_is_refused() -> None:
    with pytest.raises(InvalidPhotoType):  # Pillow 13 does not know it; nothing that makes photos writes it
        decoded(Tiff(COLOURS, RGB, order=">", big=True).file())


@pytest.mark.parametrize("compression", [1, 5])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits_is_spread(bits: int, compression: int) -> None:
    grey = _grey(bits)
    expected = _as_rgb(grey.astype(int) * 255 // ((1 << bits) - 1))
    np.testing.assert_array_equal(decoded(Tiff(grey, BLACK_IS_ZERO, bits, compression).file()), expected)
    np.testing.assert_array_equal(decoded(Tiff(grey, WHITE_IS_ZERO, bits, compression).file()), 255 - expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 8])
def test_grey_of_16_bits_is_scaled(order: str, compression: int) -> None:
    grey = DEEP[..., :1]
    deep = Tiff(grey, BLACK_IS_ZERO, 16, compression, order)
    np.testing.assert_array_equal(decoded(deep.file()), _as_rgb(grey >> 8))
    white = dataclasses.replace(deep, photometric=WHITE_IS_ZERO)
    np.testing.assert_array_equal(decoded(white.file()), _as_rgb(255 - (grey >> 8)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_gives_its_colours(bits: int, order: str) -> None:
    palette = RANDOM.integers(0, 65536, (3, 1 << bits))
    indices = _grey(bits)
    photo = Tiff(indices, PALETTE, bits, order=order, more={COLOUR_MAP: palette.ravel().tolist()}).file()
    np.testing.assert_array_equal(decoded(photo), (palette >> 8).T[indices[..., 0]])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
def test_colours_of_16_bits_are_scaled(order: str, planar: int) -> None:
    photo = Tiff(DEEP[..., :3], RGB, 16, 8, order, planar=planar).file()
    np.testing.assert_array_equal(decoded(photo), DEEP[..., :3] >> 8)


@pytest.mark.parametrize(("bits", "order"), [(8, "<"), (16, "<"), (16, ">")])
def test_cmyk_is_converted(bits: int, order: str) -> None:
    ink = np.zeros((9, 9, 4), np.uint16)
    ink[..., 1:3] = (1 << bits) - 1  # magenta and yellow are red
    photo = Tiff(ink, CMYK, bits, order=order).file()
    assert np.array_equal(np.unique(decoded(photo).reshape(-1, 3), axis=0), [(255, 0, 0)])


@pytest.mark.parametrize(("kind", "expected"), [(1, 255), (2, 191), (0, 128)])
def test_alpha_is_put_on_white(kind: int, expected: int) -> None:
    # 128 at half: multiplied with it already 128 + 127; not yet 64 + 127; unspecified, it is no alpha.
    photo = Tiff(np.full((9, 9, 4), 128, np.uint8), RGB, more={EXTRA_SAMPLES: [kind]}).file()
    assert np.abs(decoded(photo).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_facsimile_codes_decode(compression: str) -> None:
    picture = Image.fromarray(_grey(1)[..., 0] * 255).convert("1")
    expected = _as_rgb(np.asarray(picture)[..., None] * 255)
    np.testing.assert_array_equal(decoded(photo_file("TIFF", picture, compression=compression)), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_a_jpeg_inside_decodes(mode: str) -> None:
    picture = Image.new("RGB", (40, 24), (200, 30, 90)).convert(mode)
    photo = photo_file("TIFF", picture, compression="jpeg", quality=95)
    np.testing.assert_allclose(decoded(photo), np.asarray(picture.convert("RGB")), atol=3)


def test_of_several_pages_the_first_counts() -> None:
    np.testing.assert_array_equal(decoded(Tiff(COLOURS, RGB, pages=3).file()), COLOURS)


@pytest.mark.parametrize("bits", [32, 64])
def test_more_than_16_bits_are_refused(bits: int) -> None:
    photo = Tiff(np.zeros((9, 9 * bits // 8, 1), np.uint8), BLACK_IS_ZERO).file()
    wide = photo.replace(b"\x02\x01\x03\0\x01\0\0\0\x08\0", b"\x02\x01\x03\0\x01\0\0\0" + bytes([bits, 0]))
    assert wide != photo
    with pytest.raises(InvalidPhotoType):
        decoded(wide)


def test_a_page_whose_strips_are_missing_is_refused() -> None:
    with pytest.raises(InvalidPhotoType):
        decoded(Tiff(COLOURS, RGB, compression=8).file().replace(b"\x11\x01", b"\x12\x7f", 1))
