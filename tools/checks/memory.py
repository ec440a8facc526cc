"""Is there memory for the next photo?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, to_mend, well

_MIB = 1 << 20


def _look(device: Device) -> Finding:
    needed_bytes = device.load().photo.decoding_bytes
    lines = (device.root / "proc/meminfo").read_text("ascii").splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    available_mib, total_mib = kib["MemAvailable"] >> 10, kib["MemTotal"] >> 10
    evidence = {"available_mib": available_mib, "total_mib": total_mib, "needed_mib": needed_bytes // _MIB}
    if available_mib * _MIB < needed_bytes:
        return to_mend(
            f"{available_mib} MiB of memory are left, and one large photo may take {needed_bytes // _MIB} MiB",
            "See what takes it, and stop what is not the device's: ps -eo rss,args --sort=-rss | head",
            **evidence,
        )
    return well(f"{available_mib} of {total_mib} MiB of memory are left", **evidence)


CHECK = Check("memory", "Is there memory for the next photo?", _look)
