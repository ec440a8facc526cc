"""Run-length encoded pixels of a BMP, as many runs at a time as follow each other.

Source of the encoding: Microsoft, "Bitmap Compression" (Windows GDI): pairs of count and value; a count of 0 escapes to
the end of a row (0), the end of the photo (1), a jump (2), or as many values as the second byte says (3 to 255), padded
to an even length.
"""

from __future__ import annotations

import re

import numpy as np

from daemon.errors import InvalidPhotoType
from daemon.records import Bytes

_END_OF_ROW, _END_OF_PHOTO, _JUMP = 0, 1, 2

# A few thousand at a time: for each pair that it might give back, the matcher keeps a note.
_PAIRS = re.compile(rb"(?:[\x01-\xff].){1,4096}", re.DOTALL)

_COMMANDS_MAX = 600_000
"""Commands of one photo, pairs that follow each other being one: each costs 0.9 us, and encoders write long ones."""

_HEX_DIGITS = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
"""Turns the hexadecimal digits of bytes into the values of four bits that they hold."""


def unrolled(runs: bytes, bits: int, size_px: tuple[int, int]) -> Bytes:
    """Palette indices of all pixels; 0 where the runs say nothing.

    Args:
        runs: the encoded pixels.
        bits: per pixel, 4 or 8.
        size_px: width and height.

    Returns:
        uint8 (height, width), the row stored first is row 0.

    Raises:
        InvalidPhotoType: they end early, or are far too many.
    """
    pen = _Pen(runs, bits, size_px)
    commands = 0
    while pen.obeys():
        commands += 1
        if commands > _COMMANDS_MAX:
            raise InvalidPhotoType("far too many runs")
    width, height = size_px
    return np.frombuffer(pen.values, np.uint8).reshape(height, width)


class _Pen:
    """Writes what one command after the other says.

    Values beyond a row's end are dropped, as GDI does; a row is a part of `values`, so that short runs cost little.
    """

    def __init__(self, runs: bytes, bits: int, size_px: tuple[int, int]) -> None:
        self._runs = runs
        self._bits = bits
        self._width, self._height = size_px
        self._at = self._x = self._y = 0
        self.values = bytearray(self._width * self._height)

    def obeys(self) -> bool:
        """Carry out one command; whether there is another one.

        Raises:
            InvalidPhotoType: there is no whole command.
        """
        command = self._runs[self._at : self._at + 4]
        if len(command) < 2:
            return self._ended()
        kind = command[1]
        if command[0]:
            self._pairs()
        elif kind > _JUMP:
            self._literals(kind)
        elif kind == _JUMP and len(command) == 4:
            self._x, self._y, self._at = self._x + command[2], self._y + command[3], self._at + 4
        elif kind == _END_OF_ROW:
            self._x, self._y, self._at = 0, self._y + 1, self._at + 2
        else:
            return kind != _END_OF_PHOTO and self._ended()
        return self._y < self._height

    def _ended(self) -> bool:
        """No more: that is well where the last row is full, even without the command that says so."""
        if self._y < self._height - 1 or self._x < self._width:
            raise InvalidPhotoType("its runs end early")
        return False

    def _write(self, values: bytes) -> None:
        start = self._y * self._width
        kept = max(0, min(len(values), self._width - self._x))
        self.values[start + self._x : start + self._x + kept] = values[:kept]
        self._x += len(values)

    def _pairs(self) -> None:
        found = _PAIRS.match(self._runs, self._at)
        assert found is not None
        self._at = found.end()
        # A row takes no more than its width, and a pair gives at least one value.
        pairs = found.group()[: 2 * max(0, self._width - self._x)]
        if len(pairs) == 2:
            unit = pairs[1:] if self._bits == 8 else _nibbles(pairs[1:])
            self._write((unit * pairs[0])[: pairs[0]])
        elif pairs:
            self._write(_repeated(pairs, self._bits))

    def _literals(self, count: int) -> None:
        size = -(-count * self._bits // 8)
        literals = self._runs[self._at + 2 : self._at + 2 + size]
        self._at += 2 + size + size % 2
        if self._at > len(self._runs):
            raise InvalidPhotoType("its runs end early")
        self._write(literals if self._bits == 8 else _nibbles(literals)[:count])


def _repeated(pairs: bytes, bits: int) -> bytes:
    """The values that pairs of count and value stand for."""
    counts, values = np.frombuffer(pairs, np.uint8).reshape(-1, 2).T
    if bits == 8:
        return np.repeat(values, counts).tobytes()
    # Of four bits each, the two values of a byte take turns, beginning anew with each pair.
    place = np.arange(counts.sum(dtype=np.intp)) - np.repeat(np.cumsum(counts, dtype=np.intp) - counts, counts)
    pair = np.repeat(values, counts)
    return np.where(place % 2, pair & 15, pair >> 4).astype(np.uint8).tobytes()


def _nibbles(octets: bytes) -> bytes:
    return octets.hex().encode().translate(_HEX_DIGITS)
