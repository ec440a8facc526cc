"""BMP files by hand, bit by bit. Source of the layout: Microsoft, "Bitmap Storage" (Windows GDI)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OS2_1, OS2_2, WINDOWS_3, WINDOWS_5 = 12, 64, 40, 124
UNPACKED, RLE8, RLE4, FIELDS, ALPHA_FIELDS = 0, 1, 2, 3, 6

Indices = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Bmp:
    """What a BMP says of itself; `pixels` are its bytes from the first row stored on."""

    width: int
    height: int
    bits: int
    pixels: bytes
    header_bytes: int = WINDOWS_3
    stored: int = UNPACKED
    fields: Sequence[int] = ()
    palette: Sequence[tuple[int, int, int]] = ()

    def file(self) -> bytes:
        """The file; the palette is given as RGB."""
        entries = b"".join(bytes(colour[::-1]) + b"\0" * (self.header_bytes != OS2_1) for colour in self.palette)
        head = self._header() + entries
        return (
            b"BM" + struct.pack("<IHHI", 14 + len(head) + len(self.pixels), 0, 0, 14 + len(head)) + head + self.pixels
        )

    def _header(self) -> bytes:
        if self.header_bytes == OS2_1:
            return struct.pack("<IHHHH", OS2_1, self.width, self.height, 1, self.bits)
        head = struct.pack("<IiiHH", self.header_bytes, self.width, self.height, 1, self.bits)
        head += struct.pack("<IIiiII", self.stored, len(self.pixels), 2835, 2835, len(self.palette), 0)
        head += struct.pack(f"<{len(self.fields)}I", *self.fields)
        return head.ljust(self.header_bytes, b"\0") if self.header_bytes >= WINDOWS_3 else head[: self.header_bytes]


def padded(row: bytes) -> bytes:
    """A row, as long as a multiple of four bytes."""
    return row + bytes(-len(row) % 4)


def packed(indices: Indices, bits: int) -> bytes:
    """Rows of palette indices, 1, 2, 4 or 8 bits each, the last row first."""
    spread = np.unpackbits(indices[::-1, :, None], axis=2)[..., 8 - bits :]
    return b"".join(padded(np.packbits(row.ravel()).tobytes()) for row in spread)


def words(values: npt.NDArray[np.uint32], bits: int) -> bytes:
    """Rows of 16 or 32 bits per pixel, the last row first."""
    return b"".join(padded(row.astype(f"<u{bits // 8}").tobytes()) for row in values[::-1])


def runs8(indices: Indices) -> bytes:
    """Rows as runs of 8 bits: pairs where values repeat, literals where at least three differ."""
    return b"".join(_row8(row.tolist()) + b"\0\0" for row in indices[::-1])[:-2] + b"\0\1"


def _row8(row: list[int]) -> bytes:
    out, at = b"", 0
    while at < len(row):
        same = next((n for n, value in enumerate(row[at : at + 255]) if value != row[at]), min(255, len(row) - at))
        literal = row[at : at + 5]
        if same == 1 and len(literal) >= 3:
            out += bytes([0, len(literal), *literal]) + bytes(len(literal) % 2)
            at += len(literal)
        else:
            out += bytes([same, row[at]])
            at += same
    return out


def runs4(indices: Indices) -> bytes:
    """Rows as runs of 4 bits: pairs of two values taking turns, and a literal of three at the end of each row."""
    return b"".join(_row4(row.tolist()) + b"\0\0" for row in indices[::-1])[:-2] + b"\0\1"


def _row4(row: list[int]) -> bytes:
    body, last = row[:-3], row[-3:]
    pairs = (body[at : at + 2] for at in range(0, len(body), 2))
    out = b"".join(bytes([len(pair), pair[0] << 4 | pair[-1]]) for pair in pairs)
    return out + bytes([0, 3, last[0] << 4 | last[1], last[2] << 4])
