"""May the daemon use the accelerator's device nodes?"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from daemon.config import Accelerator
from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SERVICE
from tools.unit_files import SHIPPED, said, unit_files

_CHARACTER = "char-"
"""Source: systemd.resource-control(5), DeviceAllow=: a group of devices as /proc/devices names them."""

_REMEDY = (
    f"install -D -m 0644 -t /etc/systemd/system/{SERVICE}.d {SHIPPED}/jetson.conf && systemctl daemon-reload "
    "&& systemctl restart faceverifyd"
)


def _look(device: Device) -> Finding:
    if device.load().inference.accelerator is Accelerator.CPU:
        return no_matter("the configuration names the CPU: no device node is needed")
    if not unit_files(device.root, SERVICE):
        return no_matter(f"no {SERVICE} is installed; whoever starts the daemon decides what it may use")
    allowed = [value.split()[0] for value in said(device.root, SERVICE, "DeviceAllow")]
    groups = [group for value in said(device.root, SERVICE, "SupplementaryGroups") for group in value.split()]
    if not allowed:
        return to_mend("the unit closes every device, and the accelerator is one", _REMEDY)
    faults = [*_missing_nodes(device.root, allowed), *_missing_groups(device.root, groups)]
    if faults:
        return to_mend(
            "; ".join(faults),
            f"See that the driver is loaded (lsmod, ls -l /dev), or name what is there in a drop-in of {SERVICE}.",
            allowed=allowed,
            groups=groups,
        )
    return well("the accelerator's nodes are there, and the unit allows them", allowed=allowed, groups=groups)


def _missing_nodes(root: Path, allowed: list[str]) -> Iterator[str]:
    characters = [line.split()[-1] for line in _lines(root / "proc/devices") if len(line.split()) == 2]
    for name in allowed:
        kind = name.removeprefix(_CHARACTER)
        if name.startswith(_CHARACTER) and not any(fnmatch(known, kind) for known in characters):
            yield f"no device of kind {kind} is there"
        if name.startswith("/dev/") and not (root / name.lstrip("/")).exists():
            yield f"{name} is not there"


def _missing_groups(root: Path, groups: list[str]) -> Iterator[str]:
    known = {line.partition(":")[0] for line in _lines(root / "etc/group")}
    yield from (f"there is no group {group}" for group in groups if group not in known)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.is_file() else []


CHECK = Check("devices", "May the daemon use the accelerator's device nodes?", _look)
