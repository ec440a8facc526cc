"""The wheels of a release, chosen for a target without the target: every one pinned by hash, none built here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from daemon.errors import ReleaseRefused
from tools.releases.manifest import sha256_of
from tools.releases.platforms import Platform

RUNTIME = "onnxruntime"
"""The package that a platform with a GPU brings its own build of."""

_OLDEST_GLIBC = 5
"""Minor version of the oldest glibc 2 that wheels are built for. Source: PEP 513 and 600."""


def locked_for(lock: str, target: Platform) -> Iterator[str]:
    """Entries of a lock that count on a target, without their conditions: pip would take them as for its own Python.

    Args:
        lock: the lock file's text.
        target: whom for.
    """
    environment = {
        "python_version": target.python,
        "python_full_version": f"{target.python}.0",
        "platform_machine": target.machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for entry in re.findall(r"^\S.*(?:\n .*)*", lock, re.MULTILINE):
        wanted, _, hashes = entry.partition(" \\\n")
        requirement = Requirement(wanted)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield f"{requirement.name}{requirement.specifier} \\\n{hashes}"


def fetch_closure(lock: str, target: Platform, cache: Path) -> list[Path]:
    """The target's wheels, from the cache where they are there, by name.

    Args:
        lock: the lock file's text.
        target: whom for.
        cache: folder that keeps wheels.

    Raises:
        ReleaseRefused: a package has no wheel for the target, or cannot be had.
    """
    entries = list(locked_for(lock, target))
    if target.needs_own_runtime:
        entries = [entry for entry in entries if not entry.startswith(f"{RUNTIME}==")]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        listed, found = Path(folder, "lock.txt"), Path(folder, "wheels")
        listed.write_text("\n".join(entries), "utf-8")
        command = [*_command(target), "--find-links", str(cache), "-d", str(found), "-r", str(listed)]
        if _fault([*command, "--no-index"]) and (fault := _fault(command)):
            raise ReleaseRefused(
                f"the wheels for {target.name} cannot be had:\n{fault}",
                "Check the network, or make the lock anew with versions that have wheels for this platform.",
            )
        for wheel in found.iterdir():
            if not (cache / wheel.name).exists():
                shutil.copy(wheel, cache / wheel.name)
        return [cache / wheel.name for wheel in sorted(found.iterdir())]


def _command(target: Platform) -> list[str]:
    """What fetches wheels for a target that is not this machine."""
    tags = [f"manylinux_2_{minor}_{target.machine}" for minor in range(target.glibc, _OLDEST_GLIBC - 1, -1)]
    tags += [f"{old}_{target.machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--retries=5"]
    strict = ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    aim = ["--implementation=cp", f"--python-version={target.python}", *(f"--platform={tag}" for tag in tags)]
    return [*pip, *strict, *aim]


def _fault(command: Sequence[str]) -> str:
    """What a command says of why it failed; empty where it did not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip()[-2000:] or "it failed" if done.returncode else ""


def requirements(wheels: Sequence[Path]) -> bytes:
    """A hash-locked list that names these wheels and no others."""
    lines = []
    for wheel in wheels:
        name, version, _, _ = parse_wheel_filename(wheel.name)
        lines.append(f"{canonicalize_name(name)}=={version} --hash=sha256:{sha256_of(wheel)}\n")
    return "".join(sorted(lines)).encode()


def installed_bytes(wheels: Sequence[Path]) -> int:
    """What wheels take when they are installed and compiled; compiled Python is about as large as its text."""
    total = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            total += sum(
                member.file_size * (2 if member.filename.endswith(".py") else 1) for member in opened.infolist()
            )
    return total
