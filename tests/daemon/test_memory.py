"""What a process keeps of memory, seen from inside of one that keeps it so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

_GET_DUMPABLE = 3
_SHOW = """
import ctypes, resource
from pathlib import Path
from daemon.memory import give_back, keep_private, keep_small

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = libc.malloc_usable_size.argtypes = [ctypes.c_void_p]

def block(size, content):
    made = libc.malloc(size)
    ctypes.memset(made, content, size)
    return made

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
"""


def _shown(lines: str) -> str:
    command = [sys.executable, "-c", _SHOW + lines]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("private", "left"), [(True, "False"), (False, "True")])
def test_what_is_freed_is_overwritten(private: bool, left: str) -> None:
    freed = "first, behind = block(4096, 0x5A), block(64, 0); libc.free(first)"
    found = "print(b'\\x5A' * 64 in ctypes.string_at(first, 4096))"
    assert _shown(f"{'keep_private()' if private else ''}\n{freed}\n{found}") == left


def test_there_is_no_core_dump_and_nobody_of_the_account_reads_the_memory() -> None:
    shown = _shown(f"keep_private(); print(libc.prctl({_GET_DUMPABLE}), resource.getrlimit(resource.RLIMIT_CORE))")
    assert shown == "0 (0, 0)"


def test_what_lies_free_between_what_is_used_is_given_back() -> None:
    fragments = "blocks = [block(64 << 10, 1) for _ in range(2000)]\nfor one in blocks[:-1]: libc.free(one)"
    shown = _shown(f"keep_small()\n{fragments}\nbefore = resident_mb(); give_back(); print(before, resident_mb())")
    before, after = map(int, shown.split())
    assert before - after > 60
