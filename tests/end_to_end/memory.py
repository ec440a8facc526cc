"""Looks for photos and keys in the memory of a process that runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw")
"""A writable mapping. Source: proc(5), /proc/pid/maps."""

_BLOCK_BYTES = 16 << 20
MARK_BYTES = 64
NAME_BYTES = 16
"""What all marks begin with, and behind it the number of the photo and of the place in it."""


def blocks(process: int) -> Iterator[bytes]:
    """The writable memory of a process, mapping by mapping; what is long comes in parts that overlap by 1 MiB."""
    memory = os.open(f"/proc/{process}/mem", os.O_RDONLY)
    try:
        for start, end in _writable(process):
            for at in range(start, end, _BLOCK_BYTES - (1 << 20)):
                with suppress(OSError):  # a mapping that nobody can read, or that has gone
                    yield os.pread(memory, min(_BLOCK_BYTES, end - at), at)
    finally:
        os.close(memory)


def _writable(process: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        found = _RANGE.match(line)
        if found:
            yield int(found[1], 16), int(found[2], 16)


def times_found(process: int, secret: bytes) -> int:
    """How often bytes are in a process's writable memory; near the end of a part, some may count twice."""
    return sum(block.count(secret) for block in blocks(process))


class MarkedPhotos:
    """Photos that can be recognised by any kilobyte of them.

    Args:
        picture: a JPEG file that all of them show.
    """

    def __init__(self, picture: bytes) -> None:
        self._picture = picture
        self.name = os.urandom(NAME_BYTES)
        self._photos: list[bytes] = []

    def make(self, filler_bytes: int) -> bytes:
        """A photo with marks in comments of so many bytes, and one behind its end."""
        number = len(self._photos)
        filler = b"".join(self._mark(number, place) for place in range(filler_bytes // 1024))
        comments = b"".join(
            b"\xff\xfe" + (len(part) + 2).to_bytes(2, "big") + part for part in _parts(filler, 60 * 1024)
        )
        photo = self._picture[:2] + comments + self._picture[2:] + self._mark(number, 1 << 31)
        self._photos.append(photo)
        return photo

    def _mark(self, number: int, place: int) -> bytes:
        return self.name + number.to_bytes(4, "big") + place.to_bytes(4, "big") + os.urandom(1024 - NAME_BYTES - 8)

    def runs_in(self, process: int) -> list[tuple[int, int]]:
        """Runs of photos in a process's writable memory: bytes of the run, and of the photo that it is of."""
        return [run for block in blocks(process) for run in self._runs_in(block)]

    def _runs_in(self, block: bytes) -> Iterator[tuple[int, int]]:
        at = block.find(self.name)
        while at >= 0:
            end = at + NAME_BYTES
            number = int.from_bytes(block[end : end + 4], "big")
            photo = self._photos[number] if number < len(self._photos) else b""
            where = photo.find(block[at : end + 8])
            if where >= 0:
                before = _common(block[max(0, at - where) : at][::-1], photo[:where][::-1])
                after = _common(block[at : at + len(photo) - where], photo[where:])
                yield before + after, len(photo)
                end = at + after
            at = block.find(self.name, end)


def _parts(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def _common(one: bytes, other: bytes) -> int:
    """How many bytes are the same from the beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
