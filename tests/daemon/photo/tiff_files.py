"""TIFF files by hand, bit by bit. Source of the layout: TIFF 6.0; of BigTIFF: the libtiff project's description."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
EXTRA_SAMPLES = 338


def unpacked(block: bytes) -> bytes:
    """Compression 1."""
    return block


def packbits(block: bytes) -> bytes:
    """Compression 32773: literals of at most 128 bytes, and runs of bytes that come at least three times."""
    out, at = b"", 0
    while at < len(block):
        same = next((n for n, byte in enumerate(block[at : at + 128]) if byte != block[at]), len(block[at : at + 128]))
        if same >= 3:
            out += bytes([257 - same, block[at]])
        else:
            same = min(2, len(block) - at)
            out += bytes([same - 1]) + block[at : at + same]
        at += same
    return out


def lzw(block: bytes) -> bytes:
    """Compression 5, with no string longer than a byte: the table is cleared before codes need a tenth bit."""
    codes = [code for at in range(0, len(block), 200) for code in (256, *block[at : at + 200])]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


COMPRESSIONS: dict[int, Callable[[bytes], bytes]] = {
    1: unpacked,
    5: lzw,
    8: zlib.compress,
    32773: packbits,
    32946: zlib.compress,
}
"""Value of the tag Compression to what does it."""


@dataclass(frozen=True)
class Tiff:
    """What a TIFF says of itself.

    Attributes:
        samples: (height, width, samples per pixel), unsigned; their bits as `bits` says.
        bits: of each sample.
        rows: of a strip.
        tile: height and width of a tile; strips where none is given.
        more: further tags, numbers of 16 bits.
        pages: how often the page comes, the later ones inverted.
    """

    samples: Samples
    photometric: int
    bits: int = 8
    compression: int = 1
    order: str = "<"
    rows: int = 5
    tile: tuple[int, int] | None = None
    planar: int = 1
    predictor: int = 1
    big: bool = False
    more: Mapping[int, Sequence[int]] = field(default_factory=dict)
    pages: int = 1

    def file(self) -> bytes:
        """The file."""
        mark = b"II" if self.order == "<" else b"MM"
        head = mark + (struct.pack(self.order + "HHH", 43, 8, 0) if self.big else struct.pack(self.order + "H", 42))
        body, link = b"", len(head)
        out = head + self._offset(0)
        for page in range(self.pages):
            samples = self.samples if page == 0 else (1 << self.bits) - 1 - self.samples
            out += b"\0" * (len(out) % 2)
            directory, body = self._page(samples, len(out))
            out += body
            out = out[:link] + self._offset(len(out)) + out[link + len(self._offset(0)) :]
            out += directory
            link = len(out) - len(self._offset(0))
        return out

    def _offset(self, at: int) -> bytes:
        return struct.pack(self.order + ("Q" if self.big else "I"), at)

    def _page(self, samples: Samples, start: int) -> tuple[bytes, bytes]:
        """Directory and what it refers to, which begins at `start`."""
        height, width, count = samples.shape
        blocks = [COMPRESSIONS[self.compression](block) for block in self._blocks(samples)]
        places = [start + sum(map(len, blocks[:number])) for number in range(len(blocks))]
        tags: dict[int, tuple[str, Sequence[int]]] = {
            256: ("I", [width]), 257: ("I", [height]), 258: ("H", [self.bits] * count),
            259: ("H", [self.compression]), 262: ("H", [self.photometric]), 277: ("H", [count]),
            284: ("H", [self.planar]), 317: ("H", [self.predictor]),
        }  # fmt: skip
        sizes = list(map(len, blocks))
        if self.tile:
            tags |= {322: ("H", [self.tile[1]]), 323: ("H", [self.tile[0]]), 324: ("I", places), 325: ("I", sizes)}
        else:
            tags |= {273: ("I", places), 278: ("I", [self.rows]), 279: ("I", sizes)}
        tags |= {tag: ("H", values) for tag, values in self.more.items()}
        return self._directory(tags, b"".join(blocks), start)

    def _directory(self, tags: dict[int, tuple[str, Sequence[int]]], body: bytes, start: int) -> tuple[bytes, bytes]:
        entries = b""
        inline = 8 if self.big else 4
        for tag, (kind, values) in sorted(tags.items()):
            raw = struct.pack(f"{self.order}{len(values)}{kind}", *values)
            if len(raw) > inline:
                place = self._offset(start + len(body))
                body += raw
            else:
                place = raw.ljust(inline, b"\0")
            entries += struct.pack(
                self.order + ("HHQ" if self.big else "HHI"), tag, 3 if kind == "H" else 4, len(values)
            )
            entries += place
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(tags))
        return count + entries + self._offset(0), body

    def _blocks(self, samples: Samples) -> Iterator[bytes]:
        planes = [samples] if self.planar == 1 else [samples[..., [number]] for number in range(samples.shape[2])]
        height, width = samples.shape[:2]
        rows, columns = self.tile or (self.rows, width)
        for plane in planes:
            for top in range(0, height, rows):
                for left in range(0, width, columns):
                    block = plane[top : top + rows, left : left + columns]
                    if self.tile:
                        missing = ((0, rows - block.shape[0]), (0, columns - block.shape[1]), (0, 0))
                        block = np.pad(block, missing)
                    yield self._bytes(block)

    def _bytes(self, block: Samples) -> bytes:
        if self.predictor == 2:
            block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1]))
        if self.bits == 16:
            return block.astype(self.order + "u2").tobytes()
        spread = np.unpackbits(block.astype(np.uint8).reshape(len(block), -1, 1), axis=2)[..., 8 - self.bits :]
        return b"".join(np.packbits(row.ravel()).tobytes() for row in spread)
