"""Does the configuration say one thing, and all of it?"""

from __future__ import annotations

from daemon.config import Environment
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    config = device.load()
    if config.environment is Environment.DEVELOPMENT:
        return to_mend(
            "the configuration says that somebody tries things out here",
            f"On a device that serves people set environment: production in {device.path}.",
            environment=config.environment.value,
        )
    return well(f"{device.path} is complete and does not contradict itself")


CHECK = Check("configuration", "Does the configuration say one thing, and all of it?", _look)
