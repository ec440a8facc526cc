"""What systemd says of the daemon's units: the one place that runs systemctl and journalctl, and only asks them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import ConfigurationRefused

SERVICE, SOCKET = "faceverifyd.service", "faceverifyd.socket"

_WITHIN_S = 5.0


def is_running(root: Path) -> bool:
    """Whether systemd runs the machine that is looked at. Source: sd_booted(3)."""
    return root == Path("/") and Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


def shown(unit: str, names: Sequence[str]) -> dict[str, str]:
    """Properties of a unit; one that systemd does not know is empty.

    Raises:
        ConfigurationRefused: systemd does not answer.
    """
    text = _output(["systemctl", "show", f"--property={','.join(names)}", unit])
    found = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return {name: found.get(name, "") for name in names}


def journal(unit: str, since: str) -> list[str]:
    """What a unit printed, and what systemd said of it, line by line.

    Args:
        unit: its name.
        since: as journalctl takes it.

    Raises:
        PermissionError: this account sees nothing of it.
        ConfigurationRefused: there is no journal.
    """
    if os.geteuid() != 0:
        raise PermissionError(1, "not permitted", "the journal")
    return _output(["journalctl", "--no-pager", "--output=cat", f"--since={since}", f"--unit={unit}"]).splitlines()


def exposure(unit: str) -> str:
    """The score of `systemd-analyze security` for a unit that is installed; empty where it has none to give."""
    try:
        text = _output(["systemd-analyze", "security", "--offline=true", "--root=/", "--no-pager", unit])
    except ConfigurationRefused:  # systemd 249 and older have no --offline
        return ""
    return text.rpartition("Overall exposure level")[2].partition(":")[2].strip().partition(" ")[0]


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise ConfigurationRefused(f"{command[0]} does not answer: {said}", "Look at the system: systemctl") from None
    return done.stdout
