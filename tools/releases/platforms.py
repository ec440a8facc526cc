"""What releases are made for: one row a platform. A device finds its own row; another one's release is refused."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon.config import Accelerator
from daemon.errors import ReleaseRefused

_TEGRA = "etc/nv_tegra_release"
"""A Jetson's own file; its first line has the release of L4T."""

_JETPACK_OF_L4T = {36: 6, 38: 7, 39: 7}
"""Source: NVIDIA's Jetson Linux archive. R39 is of JetPack 7.2."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One row.

    Attributes:
        name: as it stands in names of files.
        machine: as `uname -m` says it.
        debian: the same for Debian.
        python: the system's own, as its environments are made by it.
        glibc: minor version of glibc 2; wheels built for a later one do not load.
        accelerator: what engines are built for.
        jetpack: major version of NVIDIA's JetPack; None where there is none.
        drop_ins: of `systemd/`, for the service; the first is for the engines' unit too.
    """

    name: str
    machine: str
    debian: str
    python: str
    glibc: int
    accelerator: Accelerator
    jetpack: int | None
    drop_ins: tuple[str, ...]

    @property
    def needs_own_runtime(self) -> bool:
        """Whether the package index has no onnxruntime for it, so that a release brings its own."""
        return self.accelerator is not Accelerator.CPU


PLATFORMS = {
    row.name: row
    for row in (
        # Source: Debian 12 has Python 3.11 and glibc 2.36.
        Platform("x86_64-py311", "x86_64", "amd64", "3.11", 36, Accelerator.CPU, None, ("cpu.conf",)),
        # Source: JetPack 6 is Ubuntu 22.04 (Python 3.10, glibc 2.35) on Orin, sm_87.
        Platform(
            "aarch64-py310-jetpack6",
            "aarch64",
            "arm64",
            "3.10",
            35,
            Accelerator.TENSORRT,
            6,
            ("jetson.conf", "jetpack6.conf"),
        ),
        # Source: JetPack 7.2 is Ubuntu 24.04 (Python 3.12, glibc 2.39) on Orin, sm_87, and Thor, sm_110.
        Platform(
            "aarch64-py312-jetpack7",
            "aarch64",
            "arm64",
            "3.12",
            39,
            Accelerator.TENSORRT,
            7,
            ("jetson.conf",),
        ),
    )
}
"""The one table; another platform is another row."""


def known(name: str) -> Platform:
    """A platform by its name.

    Raises:
        ReleaseRefused: there is none of that name.
    """
    if name not in PLATFORMS:
        raise ReleaseRefused(f"no platform {name}", f"Name one of: {', '.join(PLATFORMS)}.")
    return PLATFORMS[name]


def own_platform(root: Path) -> Platform:
    """The row of this device.

    Args:
        root: its root folder.

    Raises:
        ReleaseRefused: no release is made for devices like this one.
    """
    seen = (platform.machine(), f"{sys.version_info[0]}.{sys.version_info[1]}", _jetpack(root))
    for row in PLATFORMS.values():
        if seen == (row.machine, row.python, row.jetpack):
            return row
    raise ReleaseRefused(
        f"no release is made for {seen[0]} with Python {seen[1]} and JetPack {seen[2] or '-'}",
        f"Install on one of: {', '.join(PLATFORMS)}.",
    )


def _jetpack(root: Path) -> int | None:
    try:
        text = (root / _TEGRA).read_text("utf-8")
    except OSError:
        return None
    found = re.match(r"# R(\d+) ", text)
    return _JETPACK_OF_L4T.get(int(found[1]), 0) if found else 0
