"""Builds an engine again and again in processes that are killed: `python -m tests.tools.interrupted_builds JOBS`.

JOBS is a JSON list of [network's folder, engines folder, cache, moment]. A whole moment n kills the build just before
its n-th change to the engines folder, a fractional one after that many seconds. Prints how many changes each build
began.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from daemon.config import Accelerator, Inference, Policy
from tools.engines import build_engine

_CHANGES = ("open", "os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "shutil.rmtree")


def _build(folder: Path, engines: Path, cache: Path, moment: float) -> None:
    changes = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal changes
        if event not in _CHANGES or str(engines) not in str(args[0]) or (event == "open" and args[1] in ("r", "rb")):
            return
        changes += 1
        os.ftruncate(counter, 0)
        os.pwrite(counter, str(changes).encode(), 0)
        if changes == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    counter = os.open(engines.with_suffix(".count"), os.O_RDWR | os.O_CREAT, 0o600)
    sys.addaudithook(count)
    settings = Inference(Accelerator.CPU, Policy.STRICT, 1, folder.parent, engines, "yunet", "sface")
    build_engine(folder, settings, cache)


def _killed(folder: Path, engines: Path, cache: Path, moment: float) -> int:
    engines.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if not child:
        _build(folder, engines, cache, moment)
        os._exit(0)
    if moment % 1:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    count = engines.with_suffix(".count")
    return int(count.read_text() or 0) if count.exists() else 0


if __name__ == "__main__":
    jobs = [(Path(one), Path(two), Path(three), moment) for one, two, three, moment in json.loads(sys.argv[1])]
    sys.stdout.write(json.dumps([_killed(*job) for job in jobs]))
