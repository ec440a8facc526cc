"""Are the engines what was built for this device, and do they compute what they should?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, well


def _look(device: Device) -> Finding:
    running_on = device.networks().running_on()
    where = ", ".join(f"{name} on {what}" for name, what in running_on.items())
    return well(f"both networks reproduce their golden vectors: {where}", **running_on)


CHECK = Check("engines", "Are the engines this device's, and do they compute what they should?", _look, within_s=8.0)
