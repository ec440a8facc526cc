"""Files that only their owner may use: tokens' hashes, private keys."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daemon.errors import ConfigurationRefused, DeviceError

OWNER_ONLY = 0o600
"""Mode of such a file."""


def refuse_readable(
    path: Path,
    refusal: type[DeviceError] = ConfigurationRefused,
    descriptor: int | None = None,
    harmless: int = 0,
) -> None:
    """Check that nobody but its owner, and root, may read or write a file.

    Args:
        path: the file.
        refusal: what to raise.
        descriptor: the file where it is open already: by now, the path may be another's.
        harmless: bits of the mode that give nobody anything where the file is.

    Raises:
        DeviceError: of the kind asked for: others may, or it cannot be looked at.
    """
    try:
        mode = stat.S_IMODE(os.stat(path if descriptor is None else descriptor).st_mode)
    except OSError as error:
        raise refusal(
            f"{path} cannot be read: {error.strerror}", f"Make {path}, or give it to the daemon's account."
        ) from None
    if mode & 0o077 & ~harmless:
        raise refusal(
            f"{path} has mode {mode:04o}: others than its owner may use it; expected {OWNER_ONLY:04o}",
            f"chmod 600 {path}",
        )
