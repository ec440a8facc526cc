"""What is made of files, made again when one of them changed: no restart, and no signal that could be forgotten.

Owns noticing; what the files mean is the loader's. Asking costs one `stat` per file.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from daemon.errors import DeviceError

T = TypeVar("T")
_Marks = tuple[tuple[int, ...] | None, ...]

_SETTLED_NS = 50_000_000
"""A file that changed less than 50 ms before it was looked at may change again without its marks showing it.

Source: Linux stamps files with the time of its last tick, which is 10 ms long at most (CONFIG_HZ=100).
"""


@dataclass(frozen=True, slots=True)
class _Reading(Generic[T]):
    """What came of the files at one moment; `value` is the last good one, also where there is a fault."""

    marks: _Marks | None
    value: T
    fault: DeviceError | None


class Watched(Generic[T]):
    """A value that is made of files; safe to ask from many threads.

    Args:
        paths: the files or folders. A folder changes when an entry comes, goes or is replaced.
        load: makes the value; opens the files itself. Raises DeviceError where they are not as they should be.

    Raises:
        DeviceError: the files cannot be read as they are now; a daemon must not start with them.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[], T]) -> None:
        self._paths = tuple(os.fspath(path) for path in paths)
        self._load = load
        self._lock = threading.Lock()
        marks = self._marks()  # before reading: what changes while it is read is noticed at the next question
        self._reading = _Reading(_settled(marks), load(), None)

    def current(self) -> T:
        """The value of the files as they are now; for what must fail closed.

        Raises:
            DeviceError: they cannot be read; serve nothing with the old value.
        """
        reading = self._latest()
        if reading.fault is not None:
            # A new one: a traceback grows by every place that an exception is raised from.
            raise type(reading.fault)(str(reading.fault.args[0]), reading.fault.remedy)
        return reading.value

    def kept(self) -> T:
        """The value of the files when they last could be read; for what an accident must not interrupt."""
        return self._latest().value

    def fault(self) -> DeviceError | None:
        """Why the files cannot be read as they are now; None where they can."""
        return self._latest().fault

    def _latest(self) -> _Reading[T]:
        reading = self._reading
        if reading.marks == self._marks():
            return reading
        with self._lock:
            marks = self._marks()
            if self._reading.marks != marks:
                self._reading = self._read(_settled(marks))
            return self._reading

    def _read(self, marks: _Marks | None) -> _Reading[T]:
        try:
            return _Reading(marks, self._load(), None)
        except DeviceError as error:
            return _Reading(marks, self._reading.value, error.with_traceback(None))

    def _marks(self) -> _Marks:
        return tuple(_mark(path) for path in self._paths)


def _mark(path: str) -> tuple[int, ...] | None:
    """What differs after every change to a file, permissions included; None where it cannot be looked at."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_size


def _settled(marks: _Marks) -> _Marks | None:
    """The marks, or None, which equals no marks, where a file changed so lately that they prove nothing."""
    now_ns = time.time_ns()
    fresh = any(mark is not None and abs(now_ns - mark[1]) < _SETTLED_NS for mark in marks)
    return None if fresh else marks
