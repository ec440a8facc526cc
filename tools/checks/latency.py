"""Are the networks about as fast as when they were built?"""

from __future__ import annotations

from daemon.inference.engine import read_record
from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.warm_runs import warm_ms

_SLOWER_MAX = 3.0
"""Times slower than at the build. Source: 0.9 to 1.1 were seen on two cores with three times the work they can do."""

_REMEDY = "fvctl doctor --only temperature --only power; where these are well: fvctl engines build"


def _look(device: Device) -> Finding:
    engines, networks = device.load().inference.engines, device.networks()
    loaded = (networks.detection, networks.recognition)
    now = {network.manifest.name: warm_ms(network) for network in loaded}
    built = {name: read_record(engines / name).warm_ms for name in now}
    told = ", ".join(f"{name} {ms:.1f} ms, {built[name]:.1f} ms when it was built" for name, ms in now.items())
    evidence = {name: {"now_ms": round(ms, 1), "built_ms": round(built[name], 1)} for name, ms in now.items()}
    if any(ms > _SLOWER_MAX * built[name] for name, ms in now.items()):
        return to_mend(f"the networks have become slow: two photos take, warm: {told}", _REMEDY, **evidence)
    return well(f"two photos take, warm: {told}", **evidence)


CHECK = Check("latency", "Are the networks about as fast as when they were built?", _look, within_s=8.0)
