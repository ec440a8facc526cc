"""Can what must be written be written: keys, engines, the next release?"""

from __future__ import annotations

import os
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, to_mend, well

_FREE_MIN_BYTES = 256 << 20
"""Two sets of engines, 41 MB each as built for the CPU, and several times that for an accelerator's own files."""

_FILES_MIN = 1000
"""Free inodes: a release beside the one in use has fewer files per package, and a folder of keys has a handful."""


def _look(device: Device) -> Finding:
    config = device.load()
    folders = {_nearest(folder) for folder in (config.keys.store, config.inference.engines)}
    free_mib, faults = {}, []
    for folder in sorted(folders):
        seen = os.statvfs(folder)
        free_bytes = seen.f_bavail * seen.f_frsize
        free_mib[str(folder)] = free_bytes >> 20
        if seen.f_flag & os.ST_RDONLY:
            faults.append(f"{folder} is mounted read-only")
        elif free_bytes < _FREE_MIN_BYTES or (seen.f_files and seen.f_favail < _FILES_MIN):
            faults.append(f"{folder} is full: {free_bytes >> 20} MiB and {seen.f_favail} files left")
    if faults:
        return to_mend(
            f"{'; '.join(faults)}. The device serves on, but keys and engines cannot be changed",
            "Make room: journalctl --vacuum-size=100M; read-only means that the disk failed: journalctl -k",
            free_mib=free_mib,
        )
    return well(f"at least {min(free_mib.values())} MiB are free", free_mib=free_mib)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))


CHECK = Check("disk_space", "Can keys, engines and the next release be written?", _look)
