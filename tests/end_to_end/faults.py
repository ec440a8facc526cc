"""Breaks a daemon from outside, for real, and asks doctor what it makes of it."""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from tests.running_daemon import RunningDaemon
from tools.cli import main

UNLIMITED = resource.RLIM_INFINITY


def doctor(config: Path, check: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of one of doctor's questions."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["doctor", "--only", check, "--json", "--config", str(config)])
    (row,) = json.loads(printed.getvalue())
    return code, row


@contextmanager
def limited(process: int, what: int, most: int) -> Iterator[None]:
    """The process may have no more than this of a resource, while it runs. Source: prlimit(2)."""
    before = resource.prlimit(process, what)
    resource.prlimit(process, what, (most, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(process, what, before)


def address_space_bytes(process: int) -> int:
    """What a process has of it now."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmSize:")[2].split()[0]) * 1024


def descriptors(process: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def serves(daemon: RunningDaemon) -> bool:
    """Whether it says that it does."""
    with suppress(OSError, AssertionError):
        return daemon.get("/readyz").status == 200
    return False
