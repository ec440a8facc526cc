"""A device that was never started: a release and its downloads, and the commands that install it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPOSITORY, STATE
from tests.systemd.debian import PYTHON, RELEASE

CONFIG = "/etc/faceverifyd/faceverifyd.yaml"
STATE_FOLDER = "/var/lib/faceverifyd"
PHOTOS = "/root/photos"
FVCTL = "/opt/faceverifyd/current/venv/bin/fvctl"

_SITE = "/root/site.yaml"


def shipped_config() -> dict[str, Any]:
    """The configuration as shipped, for a device without a GPU."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "systemd" / "faceverifyd.yaml").read_text("utf-8"))
    document["inference"]["accelerator"] = "cpu"
    return document


def installation() -> str:
    """The commands of "First start" in systemd/README.md, but those that need a machine that is on; and no GPU."""
    readme = (REPOSITORY / "systemd" / "README.md").read_text("utf-8")
    (block,) = re.findall(r"^## First start\n\n```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    commands = [
        line for line in block.splitlines() if not line.startswith((FVCTL, "systemctl start", "systemctl status"))
    ]
    return "\n".join([*commands, f"cat {_SITE} > {CONFIG}"])


def lay_out(disk: Path, photos: dict[str, bytes]) -> None:
    """Put a release and what a device downloads into a folder that becomes the top layer of the device's disk.

    Args:
        disk: an empty folder.
        photos: sample photos, JPEG bytes by name.
    """
    _lay_out_release(disk / RELEASE.relative_to("/"))
    (disk / "opt" / "faceverifyd" / "current").symlink_to("releases/dev")
    _write(disk / _SITE.lstrip("/"), yaml.safe_dump(shipped_config()))
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


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
