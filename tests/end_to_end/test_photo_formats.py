"""A face in every family of the five formats is compared, and gets about the score that it gets as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.daemon.photo import bmp_files, gif_files, tiff_files
from tests.end_to_end.conftest import Ask
from tests.end_to_end.contract import check_compared
from tests.end_to_end.photos import encoded

_SIDE_PX = 160
Make = Callable[[Image.Image], bytes]


def _pillow(kind: str, mode: str = "RGB", **options: object) -> Make:
    return lambda face: encoded(face.convert(mode), kind, **options)


def _palette(face: Image.Image, colours: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray]:
    few = face.quantize(colours)
    palette = np.zeros((256, 3), np.uint8)
    named = np.array(few.getpalette(), np.uint8).reshape(-1, 3)
    palette[: len(named)] = named
    return np.asarray(few), palette


def _bmp_of_runs(bits: int) -> Make:
    def made(face: Image.Image) -> bytes:
        indices, palette = _palette(face, 1 << bits)
        runs, stored = ((bmp_files.runs8, bmp_files.RLE8), (bmp_files.runs4, bmp_files.RLE4))[bits == 4]
        colours = [(int(r), int(g), int(b)) for r, g, b in palette[: 1 << bits]]
        return bmp_files.Bmp(*face.size, bits, runs(indices), stored=stored, palette=colours).file()

    return made


def _bmp_565(face: Image.Image) -> bytes:
    red, green, blue = np.moveaxis(np.asarray(face).astype(np.uint32), 2, 0)
    words = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
    return bmp_files.Bmp(
        *face.size, 16, bmp_files.words(words, 16), stored=bmp_files.FIELDS, fields=(0xF800, 0x7E0, 0x1F)
    ).file()


def _gif_interlaced(face: Image.Image) -> bytes:
    indices, palette = _palette(face, 256)
    return gif_files.gif((face.width + 9, face.height + 9), None, gif_files.Frame(indices, 4, 5, palette, None, True))


def _tiff(**more: object) -> Make:
    return lambda face: tiff_files.Tiff(np.asarray(face), tiff_files.RGB, **more).file()  # type: ignore[arg-type]


def _tiff_16(face: Image.Image) -> bytes:
    deep = np.asarray(face).astype(np.uint16) * 257
    return tiff_files.Tiff(deep, tiff_files.RGB, 16, 8, ">").file()


FAMILIES: dict[str, Make] = {
    "JPEG": _pillow("JPEG", quality=95),
    "JPEG, progressive": _pillow("JPEG", quality=95, progressive=True),
    "JPEG, 4:1:1": _pillow("JPEG", quality=95, subsampling="4:1:1"),
    "JPEG, grey": _pillow("JPEG", "L", quality=95),
    "JPEG, CMYK": _pillow("JPEG", "CMYK", quality=95),
    "PNG, palette": lambda face: encoded(face.quantize(256)),
    "PNG, alpha": _pillow("PNG", "RGBA"),
    "PNG, 16 bits of grey": lambda face: encoded(
        Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257)
    ),
    "GIF": _pillow("GIF"),
    "GIF, interlaced, a small frame with its own palette": _gif_interlaced,
    "BMP, 24 bits": _pillow("BMP"),
    "BMP, 16 bits": _bmp_565,
    "BMP, runs of 8 bits": _bmp_of_runs(8),
    "BMP, runs of 4 bits": _bmp_of_runs(4),
    "TIFF, strips": _tiff(),
    "TIFF, LZW tiles": _tiff(compression=5, tile=(64, 64)),
    "TIFF, packed planes": _tiff(compression=32773, planar=2),
    "TIFF, 16 bits": _tiff_16,
    "TIFF, JPEG inside": _pillow("TIFF", compression="jpeg", quality=95),
    "TIFF, CMYK": _pillow("TIFF", "CMYK"),
    "BigTIFF": _tiff(big=True),
}


@pytest.fixture(scope="module")
def face(samples: dict[str, bytes]) -> Image.Image:
    picture = Image.open(io.BytesIO(samples["obama"])).convert("RGB")
    return picture.resize((_SIDE_PX, _SIDE_PX * picture.height // picture.width))


@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
def test_a_face_is_compared(ask: Ask, face: Image.Image, make: Make) -> None:
    # Few colours, grey and strong compression cost some likeness; another person's photo is below 0.4.
    assert check_compared(ask(make(face), encoded(face))) > 0.7


def test_a_large_photo_and_the_same_one_small_are_the_same_person(ask: Ask, face: Image.Image) -> None:
    large = encoded(face.resize((4000, 4000 * face.height // face.width), Image.Resampling.BICUBIC), "JPEG", quality=85)
    assert check_compared(ask(large, encoded(face))) > 0.9


def test_a_small_face_in_a_large_photo_is_looked_at_in_all_its_pixels(ask: Ask, face: Image.Image) -> None:
    large = Image.new("RGB", (4800, 3600), (120, 130, 140))
    large.paste(face.resize((480, 480 * face.height // face.width), Image.Resampling.BICUBIC), (1500, 900))
    assert check_compared(ask(encoded(large, "JPEG", quality=90), encoded(face))) > 0.9
