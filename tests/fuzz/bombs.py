"""Photos built on purpose to cost a decoder far more than their size, each with the codes that are right for it."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image

from tests.daemon.photo import bmp_files, gif_files, tiff_files
from tests.daemon.photo.photo_files import chunk, photo_file, png

_LARGE = (5000, 5000)
_PALETTE = np.zeros((256, 3), np.uint8)


@cache
def bombs() -> dict[str, bytes]:
    """Every bomb by its name; none is longer than 5 MiB."""
    return dict([*_large(), *_jpegs(), *_pngs(), *_gifs(), *_bmps(), *_tiffs(), *_polyglots()])


def varied(bomb: bytes, dice: random.Random) -> bytes:
    """A bomb with a few bytes changed or its end missing."""
    photo = bytearray(bomb)
    for _ in range(dice.randint(0, 3)):
        photo[dice.randrange(len(photo))] = dice.randrange(256)
    return bytes(photo[: dice.randrange(len(photo)) + 1] if dice.random() < 0.2 else photo)


def _large() -> Iterator[tuple[str, bytes]]:
    """As many pixels as are allowed, in as few bytes as the format can."""
    grey = Image.new("L", _LARGE)
    for kind in ("JPEG", "PNG", "GIF"):
        yield f"largest {kind}", photo_file(kind, grey)
    yield "largest progressive JPEG", photo_file("JPEG", grey, progressive=True)
    yield "largest CMYK JPEG", photo_file("JPEG", Image.new("CMYK", _LARGE))
    yield "largest PNG of colours", png(_LARGE, (8, 2), (b"\4" + bytes(15000)) * 5000)
    yield "largest PNG with alpha", png(_LARGE, (8, 6), (b"\4" + bytes(20000)) * 5000)
    yield "largest TIFF", photo_file("TIFF", grey, compression="tiff_lzw")
    yield "largest TIFF of colours", photo_file("TIFF", Image.new("RGB", _LARGE), compression="tiff_adobe_deflate")
    yield "largest TIFF by facsimile code", photo_file("TIFF", Image.new("1", _LARGE), compression="group4")
    row = b"".join(bytes([250, 1]) for _ in range(20)) + b"\0\0"
    yield "largest BMP of runs", bmp_files.Bmp(*_LARGE, 8, row * 5000 + b"\0\1", stored=bmp_files.RLE8).file()
    yield "largest BMP of nothing", bmp_files.Bmp(*_LARGE, 8, b"\0\1", stored=bmp_files.RLE8).file()


def _jpegs() -> Iterator[tuple[str, bytes]]:
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10\x00"
    large = photo_file("JPEG", Image.new("L", _LARGE), progressive=True)
    small = photo_file("JPEG", Image.new("L", (64, 64)), progressive=True)
    yield "19 more scans of the largest JPEG", large[:-2] + 9 * scan + large[-2:]
    yield "100,000 scans", small[:-2] + 100_000 * scan + small[-2:]
    app = b"\xff\xe1" + struct.pack(">H", 65533) + b"Exif\0\0" + bytes(65525)
    yield "5 MB of EXIF", small[:2] + app * 75 + small[2:]
    yield "a million segments", small[:2] + b"\xff\xe5\0\2" * 1_000_000 + small[2:]
    yield "a million fill bytes", small[:2] + b"\xff" * 1_000_000 + small[2:]
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(1, 4000))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 3999) + entries
    yield "EXIF of 4,000 tags that share their bytes", small[:2] + _app1(exif) + small[2:]
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield "EXIF that points to itself", small[:2] + _app1(loop) + small[2:]
    huffman = b"\xff\xc4\0\x13\0" + bytes(16)
    yield "100,000 tables", small[:2] + huffman * 100_000 + small[2:]
    icc = b"".join(b"\xff\xe2\xff\xff" + b"ICC_PROFILE\0" + bytes([n, 75]) + bytes(65519) for n in range(1, 76))
    yield "5 MB of colour profile", small[:2] + icc + small[2:]


def _app1(exif: bytes) -> bytes:
    body = b"Exif\0\0" + exif
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _pngs() -> Iterator[tuple[str, bytes]]:
    pixels = b"\0" * 65 * 64
    zeros = zlib.compress(bytes(1_000_000), 9)

    def of(*between: bytes) -> bytes:
        return png((64, 64), (8, 0), pixels, *between)

    yield "a profile of 100 MB", of(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100_000_000), 9)))
    yield "4,000 profiles", of(*[chunk(b"iCCP", b"a\0\0" + zeros)] * 4000)
    yield "4,000 texts of 1 MB", of(*[chunk(b"zTXt", b"a\0\0" + zeros)] * 4000)
    yield "60 texts of 1 MB", of(*[chunk(b"zTXt", b"a\0\0" + zeros)] * 60)
    yield "400,000 chunks", of(*[chunk(b"aaAa", b"")] * 400_000)
    yield "palettes", of(*[chunk(b"PLTE", bytes(768))] * 6000)
    whole = of()
    at = whole.index(b"IDAT") - 4
    yield "400,000 empty chunks of pixels", whole[:at] + chunk(b"IDAT", b"") * 400_000 + whole[at:]
    yield "a chunk of 2 GB", whole[:at] + b"\x7f\xff\xff\xffIDAT" + bytes(99)
    yield "pixels without end", png((64, 64), (8, 0), bytes(50_000_000))
    frames = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "2 billion frames", of(frames)


def _gifs() -> Iterator[tuple[str, bytes]]:
    frame = gif_files.Frame(np.zeros((8, 8), np.uint8))
    yield "20,000 frames", gif_files.gif((64, 64), _PALETTE, *[frame] * 20_000)
    head = gif_files.gif((64, 64), _PALETTE)[:-1]
    yield "a million comments", head + b"!\xfe\1a\0" * 1_000_000 + frame.block() + b";"
    yield "a comment in a million parts", head + b"!\xfe" + b"\1a" * 1_000_000 + b"\0" + frame.block() + b";"
    yield "a million extensions", head + b"!\xff\0" * 1_000_000 + frame.block() + b";"
    yield (
        "a frame of 65,535 px at the edge",
        head + b"," + struct.pack("<HHHHB", 65535, 65535, 65535, 65535, 0) + b"\x08\0",
    )
    yield "pixels without end", head + frame.block()[:-1] + b"\xff" * 3_000_000


def _bmps() -> Iterator[tuple[str, bytes]]:
    def runs(commands: bytes, bits: int = 8) -> bytes:
        stored = bmp_files.RLE8 if bits == 8 else bmp_files.RLE4
        return bmp_files.Bmp(*_LARGE, bits, commands, stored=stored).file()

    yield "2 million runs of 255", runs(b"\xff\1" * 2_500_000)
    yield "2 million runs of 255 by 4 bits", runs(b"\xff\1" * 2_500_000, 4)
    yield "a million jumps to where it stands", runs(b"\0\2\0\0" * 1_200_000)
    yield "800,000 literals", runs(b"\0\3\1\2\3\0" * 800_000)
    yield "pairs and literals by turns", runs(b"\1\1\0\3\1\2\3\0" * 600_000)
    yield "palette beyond the end", bmp_files.Bmp(64, 64, 8, bytes(64)).file()[:60]


def _tiffs() -> Iterator[tuple[str, bytes]]:
    grey = np.zeros((64, 64, 1), np.uint8)
    sound = tiff_files.Tiff(grey, tiff_files.BLACK_IS_ZERO).file()
    directory = len(sound) - 4
    yield "a directory that follows itself", sound[:directory] + sound[4:8]
    entries = b"".join(struct.pack("<HHII", tag, 7, 4_000_000, 8) for tag in range(40_000, 65_000))
    many = b"II*\0" + struct.pack("<I", 4_000_008) + bytes(4_000_000) + struct.pack("<H", 25_000) + entries + bytes(4)
    yield "25,000 tags that share 4 MB", many
    number = struct.pack("<HHII", 273, 4, 1_000_000, 8)
    sizes = struct.pack("<HHHI", 256, 4, 1, 0) + struct.pack("<I", 64)
    yield (
        "a million strips",
        b"II*\0" + struct.pack("<I", 4_000_008) + bytes(4_000_000) + struct.pack("<H", 2) + sizes + number,
    )
    yield "4,000 pages", tiff_files.Tiff(grey[:8, :8], tiff_files.BLACK_IS_ZERO, pages=4000).file()
    for side in (5000, 20_000, 65_520):
        yield (
            f"tiles of {side} px",
            tiff_files.Tiff(grey[:16, :16], 1, compression=8, tile=(16, 16))
            .file()
            .replace(struct.pack("<HHIHH", 322, 3, 1, 16, 0), struct.pack("<HHIHH", 322, 3, 1, side, 0))
            .replace(struct.pack("<HHIHH", 323, 3, 1, 16, 0), struct.pack("<HHIHH", 323, 3, 1, side, 0)),
        )
    packed = zlib.compress(bytes(60_000_000), 9)
    whole = tiff_files.Tiff(grey, tiff_files.BLACK_IS_ZERO, compression=8, rows=64).file()
    strip = zlib.compress(bytes(64 * 64))
    yield "a strip of 60 MB", whole.replace(strip, packed)


def _polyglots() -> Iterator[tuple[str, bytes]]:
    jpeg, gif = photo_file("JPEG"), photo_file("GIF")
    yield "a JPEG that is a PDF too", jpeg[:2] + b"\xff\xfe\0\x40" + b"%PDF-1.7\n".ljust(62) + jpeg[2:] + b"%%EOF"
    yield "a GIF that is a program too", gif[:6] + b"/*" + gif[8:] + b"*/=1;alert(1)"
    yield "a page of HTML in front", b"<html><!--" + jpeg
    yield "an archive behind", jpeg + b"PK\x03\x04" + bytes(1000)
