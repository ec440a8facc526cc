"""Are the engines what was built for this device, and do they compute what they should?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    settings = device.load().inference
    networks = device.networks()
    running_on = {
        network.manifest.name: network.accelerator.value for network in (networks.detection, networks.recognition)
    }
    if set(running_on.values()) != {settings.accelerator.value}:
        return to_mend(
            f"not all networks run on {settings.accelerator.value}",
            "Look for the accelerator's driver and libraries; or name what is there in inference.accelerator.",
            **running_on,
        )
    return well(f"both networks run on {settings.accelerator.value} and reproduce their golden vectors", **running_on)


CHECK = Check("engines", "Are the engines this device's, and do they compute what they should?", _look, within_s=8.0)
