"""Writes photo files that tests need: by Pillow, by OpenCV, and by hand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from daemon.photo.decoder import PhotoDecoder
from tools.extraction import LIMITS

Rgb = npt.NDArray[np.uint8]

# Source of the limits: the contract.
DECODER = PhotoDecoder(LIMITS)
RED, WHITE = (255, 0, 0), (255, 255, 255)

SCENE: Rgb = np.zeros((16, 24, 3), np.uint8)
"""24 x 16 px in four colours, another one in each corner."""
SCENE[:8, :12], SCENE[:8, 12:], SCENE[8:, :12] = RED, (0, 255, 0), (0, 0, 255)


def decoded(photo: bytes, auto_rotate: bool = False) -> Rgb:
    """What the daemon makes of a photo, with the contract's limits."""
    return DECODER.decode(memoryview(photo), auto_rotate).rgb


def photo_file(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    """A photo written by Pillow, the scene where none is given."""
    buffer = io.BytesIO()
    (picture or Image.fromarray(SCENE)).save(buffer, kind, **options)
    return buffer.getvalue()


def written_by_opencv(ending: str, pixels: npt.NDArray[Any]) -> bytes:
    """A photo written by OpenCV; colours are BGR."""
    return bytes(cv2.imencode(ending, pixels)[1].tobytes())


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(size: tuple[int, int], kind: tuple[int, int], pixel_rows: bytes, *between: bytes) -> bytes:
    """A PNG by hand. Source: PNG (third edition), section 11; kind is bit depth and colour type."""
    header = struct.pack(">IIBBBBB", *size, *kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *between, chunk(b"IDAT", zlib.compress(pixel_rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def rows(pixels: npt.NDArray[Any]) -> bytes:
    """Pixels as a PNG's rows, none of them filtered."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def _bomb_png() -> bytes:
    return png((65535, 65535), (8, 2), b"")


def _bomb_jpeg() -> bytes:
    photo = bytearray(photo_file("JPEG"))
    at = photo.index(b"\xff\xc0") + 5  # ISO/IEC 10918-1, B.2.2: the frame header's height and width
    photo[at : at + 4] = b"\xff\xff\xff\xff"
    return bytes(photo)


def _bomb_gif() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;"


def _bomb_bmp() -> bytes:
    photo = bytearray(photo_file("BMP"))
    photo[18:26] = struct.pack("<ii", 65535, 65535)
    return bytes(photo)


def _bomb_tiff() -> bytes:
    photo = photo_file("TIFF")
    for tag, side in ((256, 24), (257, 16)):
        entry = struct.pack("<HHI", tag, 4, 1)
        found = photo.index(entry + struct.pack("<I", side))
        photo = photo[: found + 8] + struct.pack("<I", 65535) + photo[found + 12 :]
    return photo


HEADERS_THAT_CLAIM = {
    "PNG": _bomb_png(),
    "JPEG": _bomb_jpeg(),
    "GIF": _bomb_gif(),
    "BMP": _bomb_bmp(),
    "TIFF": _bomb_tiff(),
}
"""For each format a photo of less than 2 KB whose header claims 65,535 x 65,535 px."""
