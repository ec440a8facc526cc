"""Builds what an accelerator's own builder leaves, in a process of its own that may run for minutes or be killed.

As a program it is that process: `python -m tools.compiling` reads an order as JSON from its standard input.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import ACCELERATORS, Precision, Target
from daemon.inference.session import open_session
from daemon.inference.tensorrt import CONTEXT_FILE, building_options
from daemon.manifest import load_manifest
from tools.console import wait_for

_SHORT_OF_MEMORY = (
    "Could not find any implementation for node",
    "OutOfMemory",
    "out of memory",
    "bad_alloc",
    "NvMapMemAlloc",
    "Requested amount of GPU memory",
)
"""What TensorRT, CUDA and the kernel of a Jetson say where memory is short; the first does not sound like it.

Source: NVIDIA, TensorRT troubleshooting; onnxruntime's and TensorRT's issue threads of builds on Jetsons."""

_MAKE_ROOM = (
    "Stop the daemon (systemctl stop faceverifyd) and whatever else needs memory; then run: fvctl engines build"
)
_LOOK = "Run: fvctl doctor --only onnxruntime_wheel --only accelerator; if both are well, send this line to support."
_PARENT_DIED = 1
"""Source: prctl(2), PR_SET_PDEATHSIG."""


class Order(NamedTuple):
    """What to build.

    Attributes:
        network: the network's folder with its manifest.
        model: file of the model as the builder's parser takes it.
        folder: empty, for what is built.
        timings: folder of earlier builds' measurements.
        accelerator: for which.
        precision: in which.
    """

    network: str
    model: str
    folder: str
    timings: str
    accelerator: str
    precision: str


def compile_engine(order: Order, name: str, expected_s: float | None) -> float:
    """Build, with progress.

    Args:
        order: what.
        name: of the network, for people.
        expected_s: how long it took the last time; None where that is not known.

    Returns:
        Seconds that it took.

    Raises:
        EngineRefused: it failed or was killed; says why, and what to do.
    """
    what = f"{name}: {order.accelerator} builds in {order.precision}"
    return watched([sys.executable, "-m", "tools.compiling"], json.dumps(order._asdict()), what, expected_s)


def watched(command: list[str], order: str, what: str, expected_s: float | None) -> float:
    """Run a builder's program to its end, with progress; ended with us.

    Raises:
        EngineRefused: it failed or was killed.
    """
    began = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            _hand_over(running, order)
            said = wait_for(lambda within_s: _ended(running, within_s), what, expected_s)
        finally:
            running.kill()
            running.wait()
    if running.returncode:
        raise explained(what, running.returncode, said)
    return time.monotonic() - began


def _hand_over(running: subprocess.Popen[str], order: str) -> None:
    stdin: IO[str] | None = running.stdin
    if stdin is None:
        return
    try:
        stdin.write(order)
        stdin.close()
    except BrokenPipeError:  # it ended before it read: why is told by its end
        pass
    running.stdin = None


def _ended(running: subprocess.Popen[str], within_s: float) -> str | None:
    """All that it said on standard error, once it ended; None while it runs."""
    try:
        return running.communicate(timeout=within_s)[1]
    except subprocess.TimeoutExpired:
        return None


def explained(what: str, code: int, said: str) -> EngineRefused:
    """Why a builder failed, and what to do.

    Args:
        what: was being done.
        code: its exit code, or minus the signal that ended it.
        said: on standard error.
    """
    told = _last_words(said)
    if code == -signal.SIGKILL or any(sign in said for sign in _SHORT_OF_MEMORY):
        how = "was killed, most often because" if code < 0 else "failed,"
        return EngineRefused(f"{what} {how} the device was short of memory: {told}", _MAKE_ROOM)
    if code < 0:
        return EngineRefused(f"{what} was ended by {signal.Signals(-code).name}: {told}", _LOOK)
    last = said.strip().splitlines()[-1:]
    remedy = last[0].removeprefix("remedy: ") if last and last[0].startswith("remedy: ") else _LOOK
    return EngineRefused(f"{what} failed: {told}", remedy)


def _last_words(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip() and not line.startswith("remedy: ")]
    signs = [line for line in lines if any(sign in line for sign in _SHORT_OF_MEMORY)]
    return (signs or lines or ["it said nothing"])[-1].strip()


def end_with_parent() -> None:
    """However fvctl ends, nobody goes on using the GPU for an engine that nobody waits for."""
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)


def _obey(order: Order) -> None:
    """Be the builder."""
    manifest = load_manifest(Path(order.network))
    accelerator, precision = Accelerator(order.accelerator), Precision(order.precision)
    options = ACCELERATORS[accelerator].options(manifest.profile, manifest.input, precision)
    paths = building_options(Path(order.folder), Path(order.timings), manifest.name)
    open_session(Path(order.model), Target(accelerator, Policy.STRICT, 1), options | paths)
    if not (Path(order.folder) / CONTEXT_FILE).is_file():
        raise EngineRefused(
            f"{accelerator.value} left no {CONTEXT_FILE}", "Report it, with the versions that fvctl engines list shows."
        )


def main() -> int:
    """The program: 0 where the order is done; else its last lines say why."""
    end_with_parent()
    try:
        _obey(Order(**json.loads(sys.stdin.read())))
    except EngineRefused as error:
        sys.stderr.write(f"{error.args[0]}\nremedy: {error.remedy}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
