"""Builders run in processes of their own: how they end is told, and they end with whom they work for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.errors import EngineRefused
from tests.conftest import REPOSITORY
from tools.compiling import explained, watched

_MAKE_ROOM = "systemctl stop faceverifyd"


def test_a_builder_that_ends_well_is_timed() -> None:
    took_s = watched([sys.executable, "-c", "import time; time.sleep(0.3)"], "", "building", None)
    assert 0.3 <= took_s < 10


def test_a_builder_reads_its_order() -> None:
    program = "import sys; sys.exit(0 if sys.stdin.read() == 'the order' else 3)"
    watched([sys.executable, "-c", program], "the order", "building", 1.0)


def test_a_killed_builder_was_most_often_short_of_memory() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(
        EngineRefused, match=r"was killed, most often because the device was short of memory"
    ) as refused:
        watched([sys.executable, "-c", program], "", "building", None)
    assert _MAKE_ROOM in refused.value.remedy


def test_a_builder_that_crashed_is_not_said_to_be_short_of_memory() -> None:
    refusal = explained("building", -signal.SIGSEGV, "parsing\n")
    assert str(refusal.args[0]) == "building was ended by SIGSEGV: parsing"
    assert "fvctl doctor" in refusal.remedy


# As they stand in issues of onnxruntime and TensorRT about Jetsons, and in TensorRT's own troubleshooting.
@pytest.mark.parametrize(
    "line",
    [
        "[E] Error[10]: Could not find any implementation for node {ForeignNode[onnx::Conv_1...Relu_2]}.",
        "[E] [defaultAllocator.cpp::allocate::20] Error Code 1: Cuda Runtime (out of memory)",
        "[E] Error[2]: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory",
        "NvMapMemAllocInternalTagged: 1075072515 error 12",
    ],
)
def test_what_tensorrt_says_where_memory_is_short_is_explained(line: str) -> None:
    refusal = explained("building", 1, f"a warning\n{line}\nEngine could not be created\n")
    assert "short of memory" in str(refusal.args[0])
    assert line in str(refusal.args[0])
    assert _MAKE_ROOM in refusal.remedy


def test_a_builder_that_knows_why_is_quoted_with_its_remedy() -> None:
    refusal = explained("building", 1, "noise\nTensorRT is not there\nremedy: Install it.\n")
    assert str(refusal.args[0]) == "building failed: TensorRT is not there"
    assert refusal.remedy == "Install it."


def test_a_builder_that_says_nothing_is_said_to() -> None:
    assert "it said nothing" in str(explained("building", 3, "").args[0])


def test_an_order_for_an_accelerator_that_is_not_there_is_refused_with_what_to_install(tmp_path: Path) -> None:
    order = (
        f'{{"network": "{REPOSITORY}/trt_engines/yunet", "model": "{tmp_path}/none.onnx", "folder": "{tmp_path}", '
        f'"timings": "{tmp_path}", "accelerator": "cuda", "precision": "fp32"}}'
    )
    with pytest.raises(EngineRefused, match="the network does not load on cuda") as refused:
        watched([sys.executable, "-m", "tools.compiling"], order, "building", None)
    assert "fvctl doctor --only onnxruntime_wheel" in refused.value.remedy


def test_a_builder_ends_with_whom_it_works_for() -> None:
    builds = "from tools.compiling import end_with_parent; end_with_parent(); print(1, flush=True); input()"
    program = (
        "import subprocess, sys, time; builder = subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
        "stdin=0, stdout=subprocess.PIPE); builder.stdout.readline(); print(builder.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, builds]
    # The builder's standard input stays open here, so that nothing but its parent's end can end it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as parent:
        assert parent.stdout is not None
        builder = Path(f"/proc/{int(parent.stdout.readline())}")
        assert builder.exists()
        parent.kill()
    until = time.monotonic() + 10
    while builder.exists() and "zombie" not in (builder / "status").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    assert not builder.exists() or "zombie" in (builder / "status").read_text()


def test_an_interrupted_wait_ends_the_builder() -> None:
    began = time.monotonic()
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        watched([sys.executable, "-c", "import time; time.sleep(60)"], "", "building", None)
    assert time.monotonic() - began < 30
