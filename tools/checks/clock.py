"""Can the device's clock be right?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from daemon.inference.engine import RECORD_FILE, EngineRecord
from daemon.yaml_file import read_yaml
from tools.checks.finding import Check, Device, Finding, to_mend, well

_TOLERANCE = timedelta(minutes=5)
"""What two clocks may differ by that were both set."""

_REMEDY = "Set it: timedatectl set-ntp true, or timedatectl set-time; expiry of keys and certificates follows it."


def _look(device: Device) -> Finding:
    settings = device.load().inference
    known = {
        name: datetime.fromisoformat(read_yaml(settings.engines / name / RECORD_FILE, EngineRecord).built_utc)
        for name in (settings.detection, settings.recognition)
    }
    for entry in device.key_log()[0][-1:]:
        known["keys"] = datetime.fromisoformat(entry.time_utc)
    what, latest = max(known.items(), key=lambda item: item[1])
    evidence = {"now_utc": device.now.astimezone(timezone.utc).isoformat(timespec="seconds"), what: latest.isoformat()}
    if device.now + _TOLERANCE < latest:
        return to_mend(
            f"the clock is before {latest:%Y-%m-%d %H:%M} UTC, when {what} was made here", _REMEDY, **evidence
        )
    return well("the clock is after everything that was made here", **evidence)


CHECK = Check("clock", "Can the clock be right?", _look)
