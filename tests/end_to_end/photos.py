"""Makes photos of every kind that the contract has a word about, out of the samples."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from daemon.app import load_networks, make_detector
from daemon.config import Config
from daemon.face.alignment import align
from daemon.photo.decoder import PhotoDecoder
from tools.occluders.masks import mask

MAX_BYTES = 5 * 1024 * 1024
"""Source: the contract."""

_MASKED_SIDE_PX = 448


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(photo: bytes) -> Image.Image:
    """A file as a picture."""
    return Image.open(io.BytesIO(photo))


def scaled(photo: bytes, width_px: int, kind: str = "JPEG") -> bytes:
    """The same photo, smaller, so that many of them are compared quickly."""
    picture = opened(photo)
    return encoded(picture.resize((width_px, width_px * picture.height // picture.width)), kind)


def plain(width_px: int, height_px: int) -> bytes:
    """A grey PNG without a face."""
    return encoded(Image.new("RGB", (width_px, height_px), "grey"))


def png_that_claims(width_px: int, height_px: int) -> bytes:
    """A PNG whose header claims a size, and that holds a single pixel's data."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\1\2\3")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def masked(photo: bytes, config: Config) -> bytes:
    """The photo's face, enlarged, with a surgical mask drawn over nose and mouth."""
    pixels = PhotoDecoder(config.photo).decode(memoryview(photo), auto_rotate=False)
    detector = make_detector(load_networks(config.inference))
    crop = align(pixels, detector.detect(pixels, auto_rotate=False))
    covered, _ = mask(crop.rgb, np.random.default_rng(0))
    return encoded(Image.fromarray(covered).resize((_MASKED_SIDE_PX, _MASKED_SIDE_PX)))
