"""What a photo file is made of, told without decoding a pixel: enough to refuse files built to keep a decoder busy."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_READS_MAX = 50_000
"""Reads of a file: each costs its reader about 3 us, and ordinary photos take a few thousand."""

_READ_AGAIN_MAX, _READ_BESIDE_BYTES = 8, 1 << 20
"""How often all of a file may be read, and bytes beside that: for metadata that several tags share."""

_MARKER = 0xFF
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_STANDALONE = (0x01, 0xD8)
"""Markers without a length, restart markers aside. Source: ITU-T T.81, table B.1."""


def jpeg_scans(photo: memoryview, most: int) -> int:
    """How many scans a JPEG file has; stops counting beyond `most`.

    A scan of a few bytes can cost as much as decoding the whole photo, and a file can hold a hundred thousand.
    Source: ITU-T T.81, section B.1.1.2: inside a scan 0xFF is followed by 0 or is a restart marker.

    Args:
        photo: the file's bytes.
        most: the most that matter.

    Returns:
        The number of scans, at most `most` + 1.
    """
    codes = np.frombuffer(photo, np.uint8)
    follower = codes[1:]
    is_marker = (codes[:-1] == _MARKER) & (follower != 0) & (follower != _MARKER)
    is_restart = (follower >= 0xD0) & (follower <= 0xD7)
    return _count(codes, np.flatnonzero(is_marker & ~is_restart), most)


def _count(codes: npt.NDArray[np.uint8], markers: npt.NDArray[np.intp], most: int) -> int:
    at, scans = 2, 0
    while scans <= most:
        next_marker = int(np.searchsorted(markers, at))
        if next_marker == len(markers):
            break
        at = int(markers[next_marker])
        kind = int(codes[at + 1])
        if kind == _END_OF_IMAGE:
            break
        scans += kind == _START_OF_SCAN
        at += 2
        if kind not in _STANDALONE and at + 1 < len(codes):
            at += max(2, int(codes[at]) << 8 | int(codes[at + 1]))
    return scans


def scan_marks(photo: memoryview) -> int:
    """How often the bytes that start a JPEG scan occur at all: for JPEG streams inside another format."""
    codes = np.frombuffer(photo, np.uint8)
    return int(np.count_nonzero((codes[:-1] == _MARKER) & (codes[1:] == _START_OF_SCAN)))


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""Source: PNG (third edition), section 5.2."""

_CHUNK = struct.Struct(">I4s")
_CHUNK_OVERHEAD_BYTES = 12


def png_chunks(photo: memoryview, name: bytes, most: int) -> int:
    """How many chunks of a name a PNG has; stops counting beyond `most`.

    Args:
        photo: the file's bytes.
        name: four letters.
        most: the most that matter.

    Returns:
        The number of chunks, at most `most` + 1.
    """
    at, found = len(PNG_SIGNATURE), 0
    while found <= most and at + _CHUNK.size <= len(photo):
        length, kind = _CHUNK.unpack_from(photo, at)
        found += kind == name
        at += length + _CHUNK_OVERHEAD_BYTES
    return found


_WIDTH, _HEIGHT, _STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP = 256, 257, 273, 277, 278
_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS = 284, 322, 323, 324
"""Tags. Source: TIFF 6.0, sections 8 and 15."""


def tiff_blocks(tags: Mapping[int, Any]) -> int:
    """How many strips or tiles a TIFF page names; `tags` as for `tiff_pixels`."""
    offsets = tags.get(_TILE_OFFSETS, tags.get(_STRIP_OFFSETS, ()))
    return len(offsets) if isinstance(offsets, tuple) else 1


def tiff_pixels(tags: Mapping[int, Any]) -> int:
    """How many pixels decoding a TIFF page really makes: its strips or tiles may be many times the page.

    Args:
        tags: the page's tags by number; a tag with one value may hold it bare.
    """
    blocks = tiff_blocks(tags)
    width, height = _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)
    if _TILE_WIDTH in tags:
        block_width, block_height = _number(tags, _TILE_WIDTH, width), _number(tags, _TILE_HEIGHT, height)
    else:
        block_width, block_height = width, min(height, _number(tags, _ROWS_PER_STRIP, height))
    planes = _number(tags, _SAMPLES, 1) if _number(tags, _PLANAR, 1) == 2 else 1
    needed = math.ceil(width / max(1, block_width)) * math.ceil(height / max(1, block_height)) * planes
    return max(blocks, needed) * block_width * block_height // max(1, planes)


def _number(tags: Mapping[int, Any], tag: int, otherwise: int) -> int:
    value = tags.get(tag, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)


class BufferView(io.RawIOBase):
    """A file over a buffer of ours, so that the photo is not copied into a second buffer that nobody wipes.

    Who reads it too often, or far more than there is, gets an error: headers of a million parts end there.

    Args:
        view: the photo's bytes.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0
        self._reads_left = _READS_MAX
        self._bytes_left = _READ_AGAIN_MAX * len(view) + _READ_BESIDE_BYTES

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io.RawIOBase."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """See io.RawIOBase; a copy of the bytes asked for.

        Raises:
            OSError: too many reads, or too much read.
        """
        end = len(self._view) if size is None or size < 0 else self._at + size
        part = bytes(self._view[self._at : end])
        self._at += len(part)
        self._reads_left -= 1
        self._bytes_left -= len(part)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise OSError("read too often")
        return part
