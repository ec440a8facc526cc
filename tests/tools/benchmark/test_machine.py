"""What it was measured on, and what others took of it."""

from __future__ import annotations

import os
import subprocess
import sys

from daemon.config import Config
from tools.benchmark.machine import Others, machine_facts

_BUSY = "import time; until = time.process_time() + 0.5\nwhile time.process_time() < until: pass"


def test_facts_name_the_machine(config: Config) -> None:
    facts = machine_facts(config.inference, cores=1)
    assert str(facts["cores"]) == f"1 of {os.cpu_count()}"
    assert facts["processor"]
    assert "onnxruntime" in str(facts["packages"])


def test_what_this_process_starts_is_not_taken_by_others() -> None:
    others = Others()
    subprocess.run([sys.executable, "-c", _BUSY], check=True)
    own, (busy_s, all_s, own_s) = others.share(), others._seconds()
    before_busy_s, before_all_s, before_own_s = others._began
    assert own_s - before_own_s >= 0.45
    assert own <= (busy_s - before_busy_s - 0.4) / (all_s - before_all_s)
