"""What the kernel tells of the machine under the daemon: how warm it is, how much memory the service takes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
_CGROUPS = Path("/sys/fs/cgroup")


def temperatures_c(folder: Path = _THERMAL) -> dict[str, float]:
    """Degrees Celsius by the zone's name; none where the machine measures none.

    Source: Documentation/driver-api/thermal/sysfs-api.rst: `temp` is in thousandths. A zone whose sensor is switched
    off cannot be read. Of zones with one name the warmest counts.
    """
    found: dict[str, float] = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        with suppress(OSError, ValueError):
            name = (zone / "type").read_text("utf-8").strip()
            found[name] = max(int((zone / "temp").read_text("ascii")) / 1000, found.get(name, -273.15))
    return found


def service_memory_bytes(own: Path = Path("/proc/self/cgroup"), folder: Path = _CGROUPS) -> int | None:
    """Memory of the whole service, its decoders included; None where it has no group of its own.

    Source: Documentation/admin-guide/cgroup-v2.rst, `memory.current`.
    """
    with suppress(OSError, ValueError):
        for line in own.read_text("utf-8").splitlines():
            hierarchy, _, path = line.split(":", 2)
            if hierarchy == "0" and path != "/":
                return int((folder / path.lstrip("/") / "memory.current").read_text("ascii"))
    return None
