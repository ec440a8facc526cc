"""Are the installed packages those that are locked, and as they were installed?"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path

import packaging
from packaging.requirements import Requirement

from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.own_files import CHECKOUT, own_folder

_LOCK = Path(__file__).resolve().parent.parent / "locks" / "runtime.txt"
_WHEELS = (own_folder("wheels"), CHECKOUT / ".state" / "cache" / "wheels")
"""Where a release, and a checkout, keep what was installed."""

_OWN_WHEEL = "onnxruntime"
"""A device has the one for its accelerator, whatever is locked."""

_TOLD = 3
"""Packages that are named in the sentence; all are in the evidence."""

_LINE = re.compile(r"^([A-Za-z0-9][^\\\n]*?)\s*\\\n((?:\s+--hash=sha256:[0-9a-f]{64}.*\n?)+)", re.MULTILINE)


def _look(_device: Device) -> Finding:
    locked = dict(_locked(_LOCK.read_text("utf-8")))
    faults = {name: fault for name, (version, _) in locked.items() for fault in _faults(name, version)}
    if not faults:
        return well(f"{len(locked)} packages are as they are locked, file by file", packages=len(locked))
    told = [f"{name} {fault}" for name, fault in faults.items()]
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    remedy = _remedy({name: locked[name] for name in faults})
    return to_mend("; ".join(told[:_TOLD]) + more, remedy, **faults)


def _locked(text: str) -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    """Name to version and hashes of the packages that are locked for this Python and this machine."""
    for line, hashes in _LINE.findall(text):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate():
            (pin,) = wanted.specifier
            yield wanted.name, (pin.version, frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes)))


def _faults(name: str, version: str) -> Iterator[str]:
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        if name != _OWN_WHEEL:
            yield "is not installed"
        return
    if installed.version != version and name != _OWN_WHEEL:
        yield f"is {installed.version}, locked is {version}"
        return
    damaged = sorted(str(file) for file in installed.files or () if not _is_whole(installed, file))
    if damaged or not installed.files:
        yield f"is damaged: {damaged[0] if damaged else 'nothing says which files it has'}"


def _is_whole(installed: Distribution, file: PackagePath) -> bool:
    """Whether a file is as it was installed. Source: "Recording installed projects" of Python packaging."""
    if file.hash is None:
        return True
    try:
        seen = hashlib.new(file.hash.mode, Path(str(installed.locate_file(file))).read_bytes()).digest()
    except FileNotFoundError:
        return False
    return base64.urlsafe_b64encode(seen).rstrip(b"=").decode("ascii") == file.hash.value


def _remedy(wanted: dict[str, tuple[str, frozenset[str]]]) -> str:
    kept = {name: wheel for name, (version, hashes) in wanted.items() for wheel in _kept(name, version, hashes)}
    if kept.keys() == wanted.keys():
        wheels = shlex.join(map(str, kept.values()))
        # The environment that the packages are in: releases share one, below that which runs this.
        python = Path(packaging.__file__).parents[4] / "bin" / "python"
        return f"{python} -m pip install --no-index --no-deps --force-reinstall {wheels}"
    gone = ", ".join(sorted(wanted.keys() - kept.keys()))
    return f"Install the release anew; not kept in {' or '.join(map(str, _WHEELS))}: {gone}"


def _kept(name: str, version: str, hashes: frozenset[str]) -> list[Path]:
    """The package's wheels that are still there, and still what is locked."""
    named = [path for folder in _WHEELS for path in folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")]
    return [path for path in named if hashlib.sha256(path.read_bytes()).hexdigest() in hashes]


CHECK = Check("packages", "Are the installed packages those that are locked, and whole?", _look, within_s=8.0)
