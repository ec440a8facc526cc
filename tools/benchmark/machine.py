"""What it was measured on, so that figures can be read later."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from daemon import __version__
from daemon.config import Inference
from tools.benchmark.processes import tree_cpu_s
from tools.console import say

_PACKAGES = ("onnxruntime", "opencv-python-headless", "numpy", "pillow", "gunicorn", "falcon", "cryptography")

_BUSY = 0.3
"""Runnable processes before the start above which figures are not to be trusted."""

_IDLE, _WAITING, _COUNTED = 3, 4, 8
"""Fields of a core's line in /proc/stat: idle, waiting for a disk, and how many there are before those of guests."""


def machine_facts(settings: Inference, cores: int) -> dict[str, object]:
    """Processor, cores, memory, load before the start and versions; warns where the machine is busy."""
    load = os.getloadavg()[0]
    if load > _BUSY:
        say(f"the machine is busy: {load:.1f} processes were running in the last minute; figures will be noisy")
    return {
        "processor": _processor(),
        "cores": f"{min(cores, len(os.sched_getaffinity(0)))} of {os.cpu_count()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        "load before": round(load, 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        "faceverifyd": f"{__version__}, {settings.detection}, {settings.recognition} on {settings.accelerator.value}",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
    }


def _processor() -> str:
    """Source: proc(5), /proc/cpuinfo; ARM kernels name the part and no model."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return fields.get("model name") or f"{platform.machine()}, part {fields.get('CPU part', 'unknown')}"


class Others:
    """What everybody else on the machine takes of the cores, from when this was made."""

    def __init__(self) -> None:
        self._cores = sorted(os.sched_getaffinity(0))
        self._began = self._seconds()

    def share(self) -> float:
        """Their processor time, over all there was; also what the machine below took for others."""
        busy_s, all_s, own_s = (now - then for now, then in zip(self._seconds(), self._began, strict=True))
        return max(0.0, busy_s - own_s) / all_s if all_s else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        """Busy and all seconds of the cores, and those of this process and what it started. Source: proc(5)."""
        busy = whole = 0
        per_second = os.sysconf("SC_CLK_TCK")
        for line in Path("/proc/stat").read_text("utf-8").splitlines():
            name, *fields = line.split()
            if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in self._cores:
                ticks = list(map(int, fields[:_COUNTED]))
                whole += sum(ticks)
                busy += sum(ticks) - ticks[_IDLE] - ticks[_WAITING]
        return busy / per_second, whole / per_second, tree_cpu_s(os.getpid())
