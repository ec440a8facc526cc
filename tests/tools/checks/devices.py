"""A device of which the kernel's and systemd's files are laid out by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.config import Config
from tests.certificates import NOW
from tools.checks.finding import Device


def device(root: Path, config: Config | None = None) -> Device:
    """A device with nothing but files, and a configuration where one is given."""

    def nothing() -> Any:  # noqa: ANN401 - gives nothing
        raise AssertionError

    return Device(
        Path("faceverifyd.yaml"), (lambda: config) if config else nothing, nothing, nothing, nothing, NOW, root
    )


def lay_out(root: Path, **files: str) -> None:
    """Files by path; two underscores stand for a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
