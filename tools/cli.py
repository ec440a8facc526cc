"""fvctl: looks after the device. Every sub-command is a module of its own; this one only finds it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon import __version__
from daemon.config import CONFIG_VARIABLE, config_path
from daemon.errors import DeviceError
from tools.console import COULD_NOT_RUN, Parser, say

_COMMANDS = {
    "doctor": ("doctor", "what is wrong with this device, and what to type next"),
    "selftest": ("selftest", "prove the device: cryptography, networks, and the whole way through the daemon"),
    "engines": ("engine_commands", "build, list, verify and prune the engines of this device"),
    "verify": ("verify", "seal two photos, ask a daemon for their score and explain the answer"),
    "bench": ("bench", "measure the device: speed against OpenCV, cost, memory, times of refusals"),
    "photo": ("photo", "seal a photo, and look at a sealed one without a key"),
    "calibrate": ("calibrate", "measure what scores mean on a labelled set of photos"),
    "train-occlusion": ("train_occlusion", "train the weights that tell what covers a face"),
    "turns": ("turns", "measure whether turned photos are turned upright"),
    "keys": ("keys", "make, rotate and destroy the keys that open photos"),
    "terminals": ("terminals", "which terminals may ask, and how each proves who it is"),
    "release": ("release", "packaged releases: build, sign, publish, install, go back"),
}
"""Sub-command to module and one line of help."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = Parser(prog="fvctl", description="Looks after a faceverifyd device.")
    whole.add_argument("--version", action="version", version=f"faceverifyd {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, (module_name, summary) in _COMMANDS.items():
        module = importlib.import_module(f"tools.{module_name}")
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.add_argument(
            "--config",
            type=Path,
            default=config_path(os.environ),
            help=f"configuration file (default: {CONFIG_VARIABLE}, else the device's own)",
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; its exit code."""
    args = parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except DeviceError as error:
        say(f"fvctl: {error}")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
