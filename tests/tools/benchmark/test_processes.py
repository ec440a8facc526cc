"""Memory and processor time of a process and of all that it started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tools.benchmark.processes import tree, tree_cpu_s, tree_memory

_MB = 60

_GRANDPARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
_HOLDS = f"held = bytearray(b'x') * {_MB} * 1_000_000; print('holds', flush=True); input()"


@contextmanager
def _holding() -> Iterator[subprocess.Popen[str]]:
    """A process whose child holds memory."""
    command = [sys.executable, "-c", _GRANDPARENT, _HOLDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
        process.communicate("\n")


def test_memory_of_what_a_process_started_counts() -> None:
    with _holding() as process:
        found = tree(process.pid)
        memory = tree_memory(process.pid)
    assert len(found) == 2
    assert memory.pss_mb is not None
    assert _MB <= memory.pss_mb <= 2 * _MB
    assert _MB <= memory.rss_mb <= 2 * _MB


def test_processor_time_is_what_the_system_counts() -> None:
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    # Source: getrusage, which counts the same in another way; children that were waited for are in both.
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    expected = sum(one.ru_utime + one.ru_stime for one in used)
    assert tree_cpu_s(os.getpid()) == pytest.approx(expected, abs=0.2) or len(tree(os.getpid())) > 1


def test_process_that_is_gone_took_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert tree_cpu_s(process.pid) == 0
