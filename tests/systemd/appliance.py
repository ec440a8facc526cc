"""The appliance's files as they lie on a device that was never started: release, units, configuration, downloads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPOSITORY, STATE
from tests.systemd.debian import PYTHON, RELEASE

CONFIG = "/etc/faceverifyd/faceverifyd.yaml"
STATE_FOLDER = "/var/lib/faceverifyd"
PHOTOS = "/root/photos"


def shipped_config() -> dict[str, Any]:
    """The configuration as shipped, for a device without a GPU."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "systemd" / "faceverifyd.yaml").read_text("utf-8"))
    document["inference"] |= {"accelerator": "cpu", "networks": "/opt/faceverifyd/current/trt_engines"}
    return document


def lay_out(disk: Path, photos: dict[str, bytes]) -> None:
    """Put everything in place below a folder that becomes the top layer of the device's disk.

    Args:
        disk: an empty folder.
        photos: sample photos, JPEG bytes by name.
    """
    _lay_out_release(disk / RELEASE.relative_to("/"))
    (disk / "opt" / "faceverifyd" / "current").symlink_to("releases/dev")
    _lay_out_units(disk)
    _write(disk / CONFIG.lstrip("/"), yaml.safe_dump(shipped_config()))
    cache = disk / STATE_FOLDER.lstrip("/") / "cache"
    cache.mkdir(parents=True)
    for archive in (STATE / "cache").glob("*.*"):
        if archive.is_file():
            shutil.copy(archive, cache)
    for name, photo in photos.items():
        path = disk / PHOTOS.lstrip("/") / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)


def _lay_out_release(release: Path) -> None:
    for folder in ("daemon", "tools", "trt_engines", "systemd"):
        shutil.copytree(REPOSITORY / folder, release / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "README.md", release)
    # As tools/environment does it: the release's folder on the path, and fvctl.
    _write(release / "venv" / "lib" / f"python{PYTHON}" / "site-packages" / "faceverifyd.pth", f"{RELEASE}\n")
    fvctl = release / "venv" / "bin" / "fvctl"
    _write(fvctl, f'#!/bin/sh\nexec "{RELEASE}/venv/bin/python" -m tools.cli "$@"\n')
    fvctl.chmod(0o755)


def _lay_out_units(disk: Path) -> None:
    units = disk / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for path in (REPOSITORY / "systemd").iterdir():
        if path.suffix in (".service", ".socket", ".timer"):
            shutil.copy(path, units)
    for unit in ("faceverifyd.service", "faceverifyd-engines.service"):
        (units / f"{unit}.d").mkdir()
        shutil.copy(REPOSITORY / "systemd" / "cpu.conf", units / f"{unit}.d")
    for kind in ("sysusers", "tmpfiles"):
        folder = disk / "etc" / f"{kind}.d"
        folder.mkdir()
        shutil.copy(REPOSITORY / "systemd" / f"faceverifyd.{kind}.conf", folder / "faceverifyd.conf")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
