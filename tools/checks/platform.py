"""Is this a machine that the release is for?"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, to_mend, well

_MACHINES = ("aarch64", "x86_64")
_PYTHONS = ((3, 10), (3, 13))
"""Source: requires-python in pyproject.toml, and tools/locks."""

_JETPACKS = {36: ("JetPack 6", (3, 10)), 38: ("JetPack 7", (3, 12)), 39: ("JetPack 7", (3, 12))}
"""Major number of Jetson Linux to JetPack and its Python, for which its TensorRT is made.

Source: NVIDIA's release notes of Jetson Linux 36.4 and 38.4; 39 is expected of JetPack 7.2, not verified on a device.
"""

_RELEASE = re.compile(r"R(\d+) \(release\), REVISION: ([0-9.]+)")
"""Source: /etc/nv_tegra_release as Jetson Linux has it."""


def _look(device: Device) -> Finding:
    machine, python = os.uname().machine, sys.version_info[:2]
    evidence = {"machine": machine, "python": ".".join(map(str, sys.version_info[:3])), "kernel": os.uname().release}
    if machine not in _MACHINES:
        return to_mend(f"this is a {machine}", f"Use a machine that is one of: {', '.join(_MACHINES)}.", **evidence)
    if not _PYTHONS[0] <= python <= _PYTHONS[1]:
        return to_mend(
            f"fvctl runs on Python {_text(python)}, which no release is for",
            f"Install the release with Python {_text(_PYTHONS[0])} to {_text(_PYTHONS[1])}: systemd/README.md",
            **evidence,
        )
    return _jetson(device.root / "etc/nv_tegra_release", python, evidence)


def _jetson(file: Path, python: tuple[int, int], evidence: dict[str, str]) -> Finding:
    if not file.is_file():
        return well(f"the release is for {evidence['machine']} with Python {_text(python)}", **evidence)
    found = _RELEASE.search(file.read_text("utf-8", "replace"))
    seen = f"Jetson Linux {found[1]}.{found[2]}" if found else f"an unknown Jetson Linux, see {file}"
    name, wanted = _JETPACKS.get(int(found[1]) if found else 0, ("", python))
    evidence |= {"jetson_linux": seen}
    if not name:
        return to_mend(f"this is {seen}", "Flash JetPack 6 or 7: the release is for no other.", **evidence)
    if wanted != python:
        return to_mend(
            f"this is {name} ({seen}), whose TensorRT is for Python {_text(wanted)}; fvctl runs on {_text(python)}",
            f"Install the release for {name}: systemd/README.md",
            **evidence,
        )
    return well(f"{name} ({seen}) with Python {_text(python)}", **evidence)


def _text(python: tuple[int, int]) -> str:
    return ".".join(map(str, python))


CHECK = Check("platform", "Is this a machine that the release is for?", _look)
