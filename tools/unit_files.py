"""Reads systemd's unit files as systemd does: the file, then its drop-ins; for what each setting comes to.

Needs no systemd, so that a disk that is mounted elsewhere, and systemd 249, are read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.own_files import own_folder

FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system")
"""Where units are, the first that has one wins. Source: systemd.unit(5), "Unit File Load Path"."""

SHIPPED = own_folder("systemd")
"""The release's own units."""

_CONTINUED = "\\"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of one setting of [Service], and the file that says it."""

    name: str
    value: str
    path: Path


def unit_files(root: Path, unit: str) -> list[Path]:
    """The unit's own file and its drop-ins, in the order in which they count; empty where it is not installed."""
    own = next((path for folder in FOLDERS if (path := root / folder / unit).is_file()), None)
    if own is None:
        return []
    # Of two drop-ins of one name the one in the first folder counts, and all are read in the order of their names.
    named = {path.name: path for folder in reversed(FOLDERS) for path in (root / folder / f"{unit}.d").glob("*.conf")}
    return [own, *(named[name] for name in sorted(named))]


def settings(files: list[Path]) -> dict[str, list[Setting]]:
    """What the settings of [Service] come to: every value that counts, by name; an empty one resets those before."""
    found: dict[str, list[Setting]] = {}
    for path in files:
        for name, value in _assignments(path):
            if value:
                found.setdefault(name, []).append(Setting(name, value, path))
            else:
                found[name] = [Setting(name, "", path)]
    return found


def said(root: Path, unit: str, name: str) -> list[str]:
    """The values of one setting of an installed unit."""
    return [setting.value for setting in settings(unit_files(root, unit)).get(name, []) if setting.value]


def _assignments(path: Path) -> Iterator[tuple[str, str]]:
    section, whole = "", ""
    for line in path.read_text("utf-8").splitlines():
        if not whole and line.lstrip().startswith(("#", ";")):
            continue
        whole += line.strip()
        if whole.endswith(_CONTINUED):
            whole = whole[:-1] + " "
            continue
        if whole.startswith("["):
            section = whole
        elif "=" in whole and section == "[Service]":
            name, _, value = whole.partition("=")
            yield name.strip(), value.strip()
        whole = ""
