"""Is the device set up to run on the accelerator that it was configured for?"""

from __future__ import annotations

from daemon.config import Accelerator
from daemon.inference.engine import read_record
from daemon.inference.platform import read_platform
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    settings = device.load().inference
    asked, here = settings.accelerator, str(read_platform(settings.accelerator))
    names = (settings.detection, settings.recognition)
    built_for = {name: read_record(settings.engines / name).basis.accelerator.value for name in names}
    evidence = {"asked": asked.value, "policy": settings.policy.value, "platform": here, **built_for}
    if set(built_for.values()) != {asked.value}:
        slower = ", ".join(f"{name} on {what}" for name, what in built_for.items())
        return to_mend(
            f"{asked.value} is asked for, the engines are {slower}",
            "Run: fvctl doctor --only onnxruntime_wheel, which says what is missing for it; then: fvctl engines build. "
            "Or name what is there in inference.accelerator.",
            **evidence,
        )
    return well(f"both networks are on {asked.value}{'' if asked is Accelerator.CPU else f', {here}'}", **evidence)


CHECK = Check("accelerator", "Are the engines for the accelerator that is configured?", _look)
