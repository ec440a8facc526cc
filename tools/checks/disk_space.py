"""Can what must be written be written: keys, engines, the next release?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, to_mend, well

_FREE_MIN_BYTES = 256 << 20
"""Two sets of engines, 41 MB each as built for the CPU, and several times that for an accelerator's own files."""

_FILES_MIN = 1000
"""Free inodes: a release beside the one in use has fewer files per package, and a folder of keys has a handful."""


def _look(device: Device) -> Finding:
    config = device.load()
    folders = sorted({_nearest(folder) for folder in (config.keys.store, config.inference.engines)})
    seen = {folder: os.statvfs(folder) for folder in folders}
    free_mib = {str(folder): (disk.f_bavail * disk.f_frsize) >> 20 for folder, disk in seen.items()}
    free_files = {str(folder): disk.f_favail for folder, disk in seen.items() if disk.f_files}
    faults = [fault for folder, disk in seen.items() for fault in _faults(folder, disk)]
    if faults:
        return to_mend(
            f"{'; '.join(fault for fault, _ in faults)}. The device serves on, but keys and engines cannot be changed",
            faults[0][1],
            free_mib=free_mib,
            free_files=free_files,
        )
    return well(f"at least {min(free_mib.values())} MiB are free", free_mib=free_mib, free_files=free_files)


def _faults(folder: Path, disk: os.statvfs_result) -> Iterator[tuple[str, str]]:
    """What is wrong with a folder's disk, and what to do."""
    if disk.f_flag & os.ST_RDONLY:
        yield (
            f"{folder} is mounted read-only",
            f"Look for the disk's errors: journalctl -k -p err; where there are none: mount -o remount,rw "
            f"{_mount(folder)}",
        )
        return
    free_mib = (disk.f_bavail * disk.f_frsize) >> 20
    if free_mib < _FREE_MIN_BYTES >> 20:
        yield (
            f"{folder} is full: {free_mib} MiB and {disk.f_favail} files left",
            f"Delete what is not the device's; the largest files: find {_mount(folder)} -xdev -type f -printf "
            "'%s %p\\n' | sort -n | tail; old journals: journalctl --vacuum-size=100M",
        )
    elif disk.f_files and disk.f_favail < _FILES_MIN:
        yield (
            f"{folder} has no room for files: {disk.f_favail} left, though {free_mib} MiB are free",
            f"Delete the folder of many files that is not the device's; the fullest: du --inodes -x {_mount(folder)} "
            "| sort -n | tail",
        )


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))


def _mount(folder: Path) -> Path:
    """Where the folder's disk is mounted."""
    return next((path for path in (folder, *folder.parents) if path.is_mount()), Path("/"))


CHECK = Check("disk_space", "Can keys, engines and the next release be written?", _look)
