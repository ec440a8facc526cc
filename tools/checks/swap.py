"""Can photos get from memory onto a disk?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.service_manager import SERVICE
from tools.unit_files import said

_IN_MEMORY = "/dev/zram"
"""Compressed memory, as a Jetson has it: never on a disk. Source: Documentation/admin-guide/blockdev/zram.rst."""


def _look(device: Device) -> Finding:
    lines = (device.root / "proc/swaps").read_text("utf-8").splitlines()[1:]
    swaps = [line.split()[0] for line in lines if line.strip()]
    on_disk = [name for name in swaps if not name.startswith(_IN_MEMORY)]
    forbidden = said(device.root, SERVICE, "MemorySwapMax")[-1:] == ["0"]
    evidence = {"swaps": swaps, "unit_forbids_it": forbidden}
    if on_disk and not forbidden:
        return to_mend(
            f"swap is on ({', '.join(on_disk)}), and nothing keeps the daemon's memory out of it",
            f"swapoff {on_disk[0]}; and take it out of /etc/fstab, or set MemorySwapMax=0 in {SERVICE}.",
            **evidence,
        )
    if on_disk:
        return well(f"swap is on, and {SERVICE} keeps the daemon out of it", **evidence)
    return well("no swap is on a disk", **evidence)


CHECK = Check("swap", "Can photos get from memory onto a disk?", _look)
