"""May a Jetson use the power that it has?"""

from __future__ import annotations

import math
import re
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well

_MODELS = re.compile(r"^< *POWER_MODEL +ID=(\d+) +NAME=(\S+) *>", re.MULTILINE)
_DEFAULT = re.compile(r"^< *PM_CONFIG +DEFAULT=(\d+) *>", re.MULTILINE)
_MODE = re.compile(r"pmode:(\d+)")
"""Source: /etc/nvpmodel.conf and /var/lib/nvpmodel/status of Jetson Linux. Not verified on a device."""

_OVER_CURRENT = "sys/class/hwmon/hwmon*/oc*_event_cnt"
"""How often the supply gave way and clocks were cut since boot. Source: Jetson Linux Developer Guide, "Over-Current
Event Notification". Not verified on a device."""


def _look(device: Device) -> Finding:
    models = device.root / "etc/nvpmodel.conf"
    if not models.is_file():
        return no_matter("this is no Jetson: it has no power modes")
    text, status = models.read_text("utf-8"), device.root / "var/lib/nvpmodel/status"
    names, default = dict(_MODELS.findall(text)), _DEFAULT.search(text)
    mode = _MODE.search(status.read_text("utf-8")) if status.is_file() else None
    now, usual = (str(int(found[1])) if found else "" for found in (mode, default))
    events = {path.name: int(path.read_text("ascii")) for path in device.root.glob(_OVER_CURRENT)}
    evidence = {"mode": names.get(now, now), "usual": names.get(usual, usual), "over_current": events}
    evidence |= {"gpu_hz": _clocks(device.root)}
    if sum(events.values()):
        return to_mend(
            f"the power supply gave way {sum(events.values())} times since the machine was started",
            "Use the maker's power supply and start the machine anew: reboot",
            **evidence,
        )
    if now and usual and _watts(names.get(now, "")) < _watts(names.get(usual, "")):
        return to_mend(
            f"the power mode is {names[now]}, less than the {names[usual]} that the device has",
            f"nvpmodel -m {usual}",
            **evidence,
        )
    return well(f"the power mode is {names.get(now, 'the usual one')}", **evidence)


def _watts(name: str) -> float:
    """What a mode allows: its name says it, MAXN and its like all there is."""
    found = re.search(r"(\d+)W", name)
    return float(found[1]) if found else math.inf


def _clocks(root: Path) -> dict[str, int]:
    """The GPU's clock in Hz, now and at most. Source: Documentation/ABI/testing/sysfs-class-devfreq."""
    names = ("cur_freq", "max_freq")
    folders = [path for path in root.glob("sys/class/devfreq/*") if "gpu" in path.name or "ga10b" in path.name]
    return {name: int((path / name).read_text("ascii")) for path in folders[:1] for name in names}


CHECK = Check("power", "May the device use the power that it has?", _look)
