"""Memory and processor time of a process and of all that it started. Source: proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_AFTER_NAME = 2
"""Fields of /proc/pid/stat before the first one behind the process's name, which may hold anything."""

_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = (field - _AFTER_NAME - 1 for field in (14, 15, 16, 17))


class Memory(NamedTuple):
    """Memory of a process and of all that it started, MB (1,000,000 bytes).

    Attributes:
        pss_mb: what is shared counts once; None where this account may not see it.
        rss_mb: of the one process that has most.
    """

    pss_mb: float | None
    rss_mb: float


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:  # grows while it is walked
        found += _children(one)
    return found


def _children(pid: int) -> Iterator[int]:
    for task in _read_folder(f"/proc/{pid}/task"):
        with suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _read_folder(path: str) -> list[Path]:
    try:
        return list(Path(path).iterdir())
    except OSError:  # it has ended
        return []


def tree_cpu_s(pid: int) -> float:
    """Processor time of a process, of all that it started, and of what ended among them, in seconds."""
    return sum(_cpu_s(one) for one in tree(pid))


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[place]) for place in (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM)) / _TICKS


def tree_memory(pid: int) -> Memory:
    """Memory of a process and of all that it started."""
    pids = tree(pid)
    shares = [_kib(one, "smaps_rollup", "Pss:") for one in pids]
    known = [share for share in shares if share is not None]
    most = max((_kib(one, "status", "VmRSS:") or 0) for one in pids)
    return Memory(sum(known) * 1024 / 1e6 if len(known) == len(shares) else None, most * 1024 / 1e6)


def _kib(pid: int, file: str, field: str) -> int | None:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:  # ended, or of an account whose memory is not for this one
        return None
    found = text.partition(f"\n{field}")[2].split()
    return int(found[0]) if found else None
