"""What it was measured on, so that figures can be read later."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from daemon import __version__
from daemon.config import Inference
from tools.console import say

_PACKAGES = ("onnxruntime", "opencv-python-headless", "numpy", "pillow", "gunicorn", "falcon", "cryptography")

_BUSY = 0.3
"""Runnable processes before the start above which figures are not to be trusted."""


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
