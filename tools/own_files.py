"""Where what a release brings lies: beside the packages in a checkout, beside the environment on a device."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def own_folder(name: str) -> Path:
    """A folder of this release, such as systemd; where it has none, where a checkout would have it."""
    beside = (CHECKOUT / name, Path(sys.prefix).parent / name)
    return next((folder for folder in beside if folder.is_dir()), beside[0])
