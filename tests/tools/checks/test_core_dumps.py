"""A worker that may leave a core dump is found, and the remedy forbids it."""

from __future__ import annotations

import resource
import shlex
import subprocess
import sys
from pathlib import Path

from tests.tools.checks.devices import device, lay_out
from tools.checks.core_dumps import CHECK
from tools.checks.finding import Status

_MASTER = """
import os, sys
if os.fork() == 0:
    print(flush=True)
    sys.stdin.read()
else:
    os.wait()
"""
"""Two processes, called as gunicorn's are; the daemon's own worker forbids itself core dumps."""


def test_a_worker_with_a_limit_above_zero_is_named_and_the_remedy_lowers_it(tmp_path: Path) -> None:
    lay_out(tmp_path, proc__sys__kernel__core_pattern="core\n")
    allowed = resource.getrlimit(resource.RLIMIT_CORE)
    command = [sys.executable, "-c", _MASTER, "python:daemon.gunicorn_conf"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        master.stdout.readline()
        finding = CHECK.look(device(tmp_path))
        if allowed[1] != 0:  # else nothing can be allowed here
            assert finding.status is Status.NEEDS_DOING
            subprocess.run(shlex.split(finding.remedy), check=True)
        assert CHECK.look(device(tmp_path)).status is Status.OK
