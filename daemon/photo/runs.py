"""Run-length encoded pixels of a BMP, a command of many runs at a time instead of one.

Source of the encoding: Microsoft, "Bitmap Compression" (Windows GDI): pairs of count and value; a count of 0 escapes to
the end of a row (0), the end of the photo (1), a jump (2), or as many values as the second byte says (3 to 255), padded
to an even length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from daemon.errors import InvalidPhotoType
from daemon.records import Bytes

_END_OF_ROW, _END_OF_PHOTO, _JUMP = 0, 1, 2


def _commands(bits: int) -> re.Pattern[bytes]:
    """Matches one command: any number of pairs, or an escape with all that belongs to it."""
    literal_bytes = ((count, -(-count * bits // 8)) for count in range(3, 256))
    literals = (rb"%s.{%d}" % (re.escape(bytes([count])), size + size % 2) for count, size in literal_bytes)
    # A few thousand pairs at a time: for each that it might give back, the matcher keeps a note.
    return re.compile(rb"(?:[\x01-\xff].){1,4096}|\0(?:\0|\x01|\x02..|%s)" % b"|".join(literals), re.DOTALL)


_COMMANDS = {4: _commands(4), 8: _commands(8)}


@dataclass(slots=True)
class _Pen:
    """Where the next value goes, from the row stored first; values beyond a row's end are dropped, as GDI does."""

    values: Bytes
    x: int = 0
    y: int = 0

    def write(self, values: Bytes) -> None:
        """Write values into the current row."""
        kept = values[: max(0, self.values.shape[1] - self.x)]
        self.values[self.y, self.x : self.x + len(kept)] = kept
        self.x += len(values)


def unrolled(runs: bytes, bits: int, size_px: tuple[int, int]) -> Bytes:
    """Palette indices of all pixels; 0 where the runs say nothing.

    Args:
        runs: the encoded pixels.
        bits: per pixel, 4 or 8.
        size_px: width and height.

    Returns:
        uint8 (height, width), the row stored first is row 0.

    Raises:
        InvalidPhotoType: they end early.
    """
    width, height = size_px
    pen = _Pen(np.zeros((height, width), np.uint8))
    at = 0
    for command in _COMMANDS[bits].finditer(runs):
        if command.start() != at:
            break
        at = command.end()
        if not _obeyed(pen, command.group(), bits) or pen.y >= height:
            return pen.values
    if (pen.y, pen.x >= width) != (height - 1, True):
        raise InvalidPhotoType("its runs end early")
    return pen.values


def _obeyed(pen: _Pen, command: bytes, bits: int) -> bool:
    """Whether more may follow a command that was carried out."""
    kind = command[1]
    if command[0]:
        pen.write(_repeated(command, bits, pen.values.shape[1] - pen.x))
    elif kind == _END_OF_ROW:
        pen.x, pen.y = 0, pen.y + 1
    elif kind == _JUMP:
        pen.x, pen.y = pen.x + command[2], pen.y + command[3]
    elif kind != _END_OF_PHOTO:
        literals = np.frombuffer(command, np.uint8, offset=2)
        pen.write((literals if bits == 8 else _nibbles(literals))[:kind])
    return bool(command[0]) or kind != _END_OF_PHOTO


def _repeated(pairs: bytes, bits: int, most: int) -> Bytes:
    """The values that pairs of count and value stand for, at most about so many."""
    # A row takes no more than its width, and a pair gives at least one value.
    counts, values = np.frombuffer(pairs[: 2 * max(0, most)], np.uint8).reshape(-1, 2).T
    if bits == 8:
        return np.repeat(values, counts)
    # Of four bits each, the two values of a byte take turns, beginning anew with each pair.
    place = np.arange(counts.sum(dtype=np.intp)) - np.repeat(np.cumsum(counts, dtype=np.intp) - counts, counts)
    pair = np.repeat(values, counts)
    return np.where(place % 2, pair & 15, pair >> 4).astype(np.uint8)


def _nibbles(octets: Bytes) -> Bytes:
    return np.stack([octets >> 4, octets & 15], axis=1).ravel()
