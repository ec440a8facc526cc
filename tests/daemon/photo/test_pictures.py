"""Decoding: every format and pixel kind of the contract, upright where it is asked for."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from daemon.config import ExifOrientation
from daemon.photo.decoder import PhotoDecoder
from tests.daemon.photo.photo_files import (
    DECODER,
    RED,
    SCENE,
    WHITE,
    Rgb,
    chunk,
    decoded,
    photo_file,
    png,
    rows,
    written_by_opencv,
)
from tools.extraction import LIMITS


def _uniform(photo: bytes) -> tuple[int, ...]:
    """The one colour of a photo; fails where there are several."""
    colours = np.unique(decoded(photo).reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return tuple(map(int, colours[0]))


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tiff"])
def test_lossless_formats_give_what_opencv_wrote(ending: str) -> None:
    np.testing.assert_array_equal(decoded(written_by_opencv(ending, SCENE[..., ::-1])), SCENE)


def test_a_jpeg_gives_what_opencv_reads(samples: dict[str, bytes]) -> None:
    seen = cv2.imdecode(np.frombuffer(samples["biden"], np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert seen is not None
    away = np.abs(decoded(samples["biden"]).astype(int) - seen[..., ::-1])
    assert away.mean() < 0.5  # two builds of libjpeg-turbo may round differently


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 2}, {"subsampling": 0}])
def test_every_kind_of_jpeg_decodes(options: dict[str, Any]) -> None:
    red = Image.new("RGB", (24, 16), RED)
    np.testing.assert_allclose(_uniform(photo_file("JPEG", red, **options)), RED, atol=2)


@pytest.mark.parametrize("compression", [None, "packbits", "tiff_lzw", "tiff_adobe_deflate"])
def test_every_usual_compression_of_tiff_decodes(compression: str | None) -> None:
    np.testing.assert_array_equal(decoded(photo_file("TIFF", compression=compression)), SCENE)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "BMP", "TIFF"])
def test_a_palette_gives_its_colours(kind: str) -> None:
    np.testing.assert_array_equal(decoded(photo_file(kind, Image.fromarray(SCENE).quantize(4))), SCENE)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "MPO"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    first, second = (Image.new("RGB", (24, 16), colour) for colour in (RED, (0, 0, 255)))
    photo = photo_file(kind, first, save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(photo)).n_frames == 2  # type: ignore[attr-defined]
    np.testing.assert_allclose(_uniform(photo), RED, atol=2)


def test_alpha_is_put_on_white() -> None:
    # Half covered: 255 * 127 / 255 of red, and of the white behind it 128 / 255: (255, 128, 128).
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 127))
    assert _uniform(photo_file("PNG", half)) == (255, 128, 128)
    assert _uniform(photo_file("TIFF", half)) == (255, 128, 128)


def test_alpha_of_grey_is_put_on_white() -> None:
    assert _uniform(photo_file("PNG", Image.new("LA", (8, 8), (0, 0)))) == WHITE


def test_a_transparent_palette_entry_is_white() -> None:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert _uniform(photo_file("PNG", palette, transparency=1)) == WHITE
    assert _uniform(photo_file("GIF", palette, transparency=1)) == WHITE


@pytest.mark.parametrize(
    ("kind", "pixels", "key"),
    [
        pytest.param((8, 0), np.full((8, 8), 40, np.uint8), struct.pack(">H", 40), id="grey"),
        pytest.param((8, 2), np.full((8, 8, 3), 40, np.uint8), struct.pack(">HHH", 40, 40, 40), id="RGB"),
        pytest.param((16, 0), np.full((8, 8), 40000, ">u2"), struct.pack(">H", 40000), id="grey of 16 bits"),
    ],
)
def test_a_colour_that_stands_for_transparency_is_white(
    kind: tuple[int, int], pixels: npt.NDArray[Any], key: bytes
) -> None:
    assert _uniform(png((8, 8), kind, rows(pixels), chunk(b"tRNS", key))) == WHITE


def test_cmyk_is_converted() -> None:
    assert _uniform(photo_file("TIFF", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))) == RED
    np.testing.assert_allclose(_uniform(photo_file("JPEG", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))), RED, atol=2)


def test_ycck_is_converted() -> None:
    # Adobe's marker says transform 2, so the planes are Y, Cb, Cr of (255 - C, ...) inverted, and K inverted. For red
    # they must hold cyan: 0.701 * 255 = 179; 128 + 0.169 * 255 = 171; 128 - 0.5 * 255 = 1 (ITU-R BT.601; Adobe
    # Technical Note 5116). Pillow writes 255 less what it is given.
    planes = Image.new("CMYK", (16, 16), (255 - 179, 255 - 171, 255 - 1, 0))
    photo = bytearray(photo_file("JPEG", planes, quality=100))
    at = photo.index(b"Adobe") + 11
    assert photo[at] == 0
    photo[at] = 2
    np.testing.assert_allclose(_uniform(bytes(photo)), RED, atol=3)


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_grey_of_16_bits_is_scaled_and_not_clipped(ending: str) -> None:
    ramp = np.tile(np.arange(0, 65536, 4096, dtype=np.uint16), (8, 1))
    expected = np.repeat((ramp // 256)[..., None], 3, axis=2)  # the upper byte
    np.testing.assert_array_equal(decoded(written_by_opencv(ending, ramp)), expected)


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_colours_of_16_bits_are_scaled_and_not_clipped(ending: str) -> None:
    bgr = np.full((8, 8, 3), (1000, 20000, 60000), np.uint16)
    assert _uniform(written_by_opencv(ending, bgr)) == (234, 78, 3)  # the upper bytes: 60000 / 256 and so on


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_pixels_of_one_bit_are_black_and_white(kind: str) -> None:
    picture = Image.fromarray(SCENE[..., 0]).convert("1")
    np.testing.assert_array_equal(decoded(photo_file(kind, picture)), np.repeat(SCENE[..., :1], 3, axis=2))


def test_where_white_is_zero_nothing_is_inverted() -> None:
    assert _uniform(photo_file("TIFF", Image.new("1", (16, 16), 1), compression="group4")) == WHITE


def test_wiping_the_opened_photo_does_not_touch_the_pixels() -> None:
    buffer = bytearray(written_by_opencv(".bmp", SCENE[..., ::-1]))
    pixels = DECODER.decode(memoryview(buffer).toreadonly(), auto_rotate=False)
    buffer[:] = bytes(len(buffer))
    np.testing.assert_array_equal(pixels.rgb, SCENE)


# Source: TIFF 6.0, section 8, Orientation: where row 0 and column 0 are to be shown.
UPRIGHT: dict[int, Callable[[Rgb], Rgb]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored.transpose(1, 0, 2), 2),
    8: lambda stored: np.rot90(stored, 1),
}


def _oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return photo_file(kind, exif=exif)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_asked_for_the_orientation_is_applied(kind: str, orientation: int) -> None:
    np.testing.assert_array_equal(decoded(_oriented(kind, orientation), True), UPRIGHT[orientation](SCENE))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_not_asked_for_the_pixels_stay_as_stored(kind: str, orientation: int) -> None:
    np.testing.assert_array_equal(decoded(_oriented(kind, orientation)), SCENE)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_jpeg_s_orientation_is_applied_only_when_asked(orientation: int) -> None:
    photo = _oriented("JPEG", orientation)
    np.testing.assert_array_equal(decoded(photo, True), UPRIGHT[orientation](decoded(photo)))


def test_the_configuration_can_apply_the_orientation_always() -> None:
    always = PhotoDecoder(dataclasses.replace(LIMITS, exif_orientation=ExifOrientation.ALWAYS))
    np.testing.assert_array_equal(
        always.decode(memoryview(_oriented("PNG", 6)), auto_rotate=False).rgb, UPRIGHT[6](SCENE)
    )
