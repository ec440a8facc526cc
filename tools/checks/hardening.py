"""Do the installed units close what the release's units close?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SERVICE, exposure, is_running
from tools.unit_files import SHIPPED, Setting, settings, unit_files

_UNITS = (SERVICE, "faceverifyd-engines.service", "faceverifyd-doctor.service")

_SITES_OWN = ("Exec", "Timeout", "Restart", "Watchdog", "Nice", "SuccessExitStatus", "Standard", "Tasks", "OOMPolicy")
"""Beginnings of settings that close nothing: a site may have its own."""

_MAY_GROW = ("IPAddressAllow", "DeviceAllow", "SupplementaryGroups", "Environment", "ReadWritePaths")
"""Settings that a site adds to: systemd/README.md."""

_LISTS = (
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "RestrictAddressFamilies",
    "SystemCallFilter",
    "IPAddressDeny",
)
"""Settings of which every line counts; of the others the last one does."""

_RELOAD = "systemctl daemon-reload && systemctl restart faceverifyd"


def _look(device: Device) -> Finding:
    installed = {unit: files for unit in _UNITS if (files := unit_files(device.root, unit))}
    if SERVICE not in installed:
        return no_matter(f"no {SERVICE} is installed")
    lost = [found for unit, files in installed.items() for found in _lost(unit, files)]
    evidence = {"exposure": exposure(SERVICE) if is_running(device.root) else "", "lost": [seen for seen, _ in lost]}
    if lost:
        return to_mend("; ".join(seen for seen, _ in lost[:3]), lost[0][1], **evidence)
    return well("the installed units close what the release closes", **evidence)


def _lost(unit: str, files: list[Path]) -> Iterator[tuple[str, str]]:
    """What an installed unit no longer says, and what to do about it."""
    own, *drop_ins = files
    wanted = settings(
        [path for path in (SHIPPED / unit, *(SHIPPED / path.name for path in drop_ins)) if path.is_file()]
    )
    found = settings(files)
    for name, values in wanted.items():
        seen = found.get(name, [])
        if not name.startswith(_SITES_OWN) and not _still_says(name, values, seen):
            told = "missing" if not seen else f"now {' '.join(_values(name, seen)) or 'empty'}"
            yield f"{unit}: {name}={' '.join(_values(name, values))} is {told}", _remedy(unit, own, name, seen)


def _still_says(name: str, wanted: list[Setting], seen: list[Setting]) -> bool:
    if name.startswith(_MAY_GROW):
        return set(_values(name, wanted)) <= set(_values(name, seen))
    return _values(name, wanted) == _values(name, seen)


def _values(name: str, found: list[Setting]) -> list[str]:
    everything = name in _LISTS or name.startswith(_MAY_GROW) or name.startswith("LoadCredential")
    return [setting.value for setting in (found if everything else found[-1:])]


def _remedy(unit: str, own: Path, name: str, seen: list[Setting]) -> str:
    elsewhere = [setting.path for setting in seen if setting.path != own]
    if elsewhere:
        return f"Take {name}= out of {elsewhere[-1]}; then: {_RELOAD}"
    return f"cp {SHIPPED / unit} {own} && {_RELOAD}"


CHECK = Check("hardening", "Do the installed units close what the release closes?", _look)
