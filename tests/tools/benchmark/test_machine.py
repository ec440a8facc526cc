"""What it was measured on, and what others took of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from daemon.config import Config
from tools.benchmark.machine import Others, machine_facts

_BUSY = "import time; until = time.process_time() + 0.5\nwhile time.process_time() < until: pass"


def test_facts_name_the_machine(config: Config) -> None:
    facts = machine_facts(config.inference, cores=1)
    assert str(facts["cores"]) == f"1 of {os.cpu_count()}"
    assert facts["processor"]
    assert "onnxruntime" in str(facts["packages"])


def test_what_this_process_starts_is_not_taken_by_others() -> None:
    cores, others, began_s = len(os.sched_getaffinity(0)), Others(), time.monotonic()
    subprocess.run([sys.executable, "-c", _BUSY], check=True)
    share = others.share()
    # By hand: half a second of all there was is this test's own; both clocks of the kernel tick 100 times a second.
    assert 0 <= share <= 1 - 0.5 / (cores * (time.monotonic() - began_s)) + 0.05
