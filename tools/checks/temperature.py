"""Is the device too warm?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well

_SANE_MILLI_DEG = 45_000
"""A trip point below is none: firmware writes zeros and room temperatures where it means nothing."""

_SLOWS_DOWN = ("passive", "hot", "critical")
_SLOWED = re.compile(r"cpufreq|devfreq|^Processor$")
"""Types of cooling devices that slow processors down; the others are fans.

Source of both: Documentation/driver-api/thermal/sysfs-api.rst, and the kernel's cpufreq_cooling.c, devfreq_cooling.c.
"""


def _look(device: Device) -> Finding:
    thermal = device.root / "sys/class/thermal"
    zones = sorted(thermal.glob("thermal_zone*"))
    degrees = {f"{_text(zone / 'type')} {zone.name[12:]}": _milli(zone / "temp") / 1000 for zone in zones}
    known = {name: value for name, value in degrees.items() if value > 0}  # a zone that is switched off says so
    if not known:
        return no_matter("this machine tells no temperature")
    faults = [fault for zone in zones for fault in _too_warm(zone)] + list(_slowed(thermal))
    if faults:
        return to_mend(
            f"{faults[0]}; answers take longer, and the machine may switch itself off",
            "Let air to the device, clean its fan, and look again: fvctl doctor --only temperature",
            temperatures_deg=known,
            faults=faults,
        )
    warmest, value = max(known.items(), key=lambda entry: entry[1])
    return well(f"the warmest place ({warmest}) has {value:.0f} degrees Celsius", temperatures_deg=known)


def _too_warm(zone: Path) -> Iterator[str]:
    now = _milli(zone / "temp")
    for kind in zone.glob("trip_point_*_type"):
        limit = _milli(kind.with_name(kind.name.replace("_type", "_temp")))
        if _text(kind) in _SLOWS_DOWN and _SANE_MILLI_DEG <= limit <= now:
            yield f"{_text(zone / 'type')} has {now / 1000:.0f} degrees, and is slowed down from {limit / 1000:.0f} on"


def _slowed(thermal: Path) -> Iterator[str]:
    for cooling in sorted(thermal.glob("cooling_device*")):
        kind = _text(cooling / "type")
        if _SLOWED.search(kind) and _milli(cooling / "cur_state") > 0:
            yield f"{kind} is slowed down"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:  # a zone that is switched off cannot be read
        return ""


def _milli(path: Path) -> int:
    text = _text(path)
    return int(text) if re.fullmatch(r"-?\d+", text) else 0


CHECK = Check("temperature", "Is the device too warm?", _look)
