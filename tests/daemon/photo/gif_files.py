"""GIF files by hand, byte by byte. Source: CompuServe, "Graphics Interchange Format", version 89a."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.uint8]
Palette = npt.NDArray[np.uint8]

_INTERLACED, _HAS_PALETTE = 0x40, 0x80
_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))


@dataclass(frozen=True)
class Frame:
    """One frame: 8 bits of palette index per pixel, and what its descriptor says."""

    indices: Indices
    left: int = 0
    top: int = 0
    palette: Palette | None = None
    clear: int | None = None
    interlaced: bool = False

    def block(self) -> bytes:
        """Everything that belongs to the frame."""
        height, width = self.indices.shape
        flags = _INTERLACED * self.interlaced | (0 if self.palette is None else _HAS_PALETTE | 7)
        control = b"" if self.clear is None else b"!\xf9\x04\x01\0\0" + bytes([self.clear, 0])
        descriptor = b"," + struct.pack("<HHHHB", self.left, self.top, width, height, flags)
        local = b"" if self.palette is None else self.palette.tobytes()
        rows = [row for start, step in _PASSES for row in range(start, height, step)]
        stored = self.indices[rows] if self.interlaced else self.indices
        return control + descriptor + local + b"\x08" + blocks(lzw(stored.tobytes())) + b"\0"


def gif(size_px: tuple[int, int], palette: Palette | None, *frames: Frame) -> bytes:
    """A GIF of a canvas' width and height, its palette of 256 colours, and its frames."""
    flags = 0x70 | (0 if palette is None else _HAS_PALETTE | 7)
    head = b"GIF89a" + struct.pack("<HHBBB", *size_px, flags, 0, 0)
    return head + (b"" if palette is None else palette.tobytes()) + b"".join(frame.block() for frame in frames) + b";"


def lzw(values: bytes) -> bytes:
    """Codes of 9 bits, the lowest bit first; the table is cleared before codes need a tenth bit."""
    codes = [code for at in range(0, len(values), 200) for code in (256, *values[at : at + 200])]
    stream: int = sum(code << 9 * place for place, code in enumerate([*codes, 257]))
    return stream.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")


def blocks(content: bytes) -> bytes:
    """Content in blocks of at most 255 bytes, each with its length."""
    parts = (content[at : at + 255] for at in range(0, len(content), 255))
    return b"".join(bytes([len(part)]) + part for part in parts)
