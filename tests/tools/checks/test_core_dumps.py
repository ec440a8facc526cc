"""A worker that may leave a core dump is found by its port, and the remedy forbids it."""

from __future__ import annotations

import dataclasses
import resource
import shlex
import subprocess
import sys
from pathlib import Path

from daemon.config import Config
from tests.tools.checks.devices import device, lay_out
from tools.checks.core_dumps import CHECK
from tools.checks.finding import Status

_MASTER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0:
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
else:
    os.wait()
"""
"""Two processes with one listener, as gunicorn has them; the daemon's own forbids itself core dumps."""


def test_a_worker_with_a_limit_above_zero_is_named_and_the_remedy_lowers_it(tmp_path: Path, config: Config) -> None:
    lay_out(tmp_path, proc__sys__kernel__core_pattern="core\n")
    allowed = resource.getrlimit(resource.RLIMIT_CORE)
    command = [sys.executable, "-c", _MASTER, "python:daemon.gunicorn_conf"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        port = int(master.stdout.readline())
        bound = dataclasses.replace(config, server=dataclasses.replace(config.server, bind=(f"127.0.0.1:{port}",)))
        finding = CHECK.look(device(tmp_path, bound))
        if allowed[1] != 0:  # else nothing can be allowed here
            assert finding.status is Status.NEEDS_DOING
            subprocess.run(shlex.split(finding.remedy), check=True)
        assert CHECK.look(device(tmp_path, bound)).status is Status.OK
