"""fvctl: looks after the device. Every sub-command is a module of its own; this one only finds it.

A call loads the one module that it asks for: the others would cost a technician a second each time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon import __version__
from daemon.errors import DeviceError
from tools.console import COULD_NOT_RUN, Parser, say
from tools.examples import add_examples

_COMMANDS = {
    "doctor": ("doctor", "what is wrong with this device, and what to type next"),
    "selftest": ("selftest", "prove the device: cryptography, networks, and the whole way through the daemon"),
    "engines": ("engine_commands", "build, list, verify and prune the engines of this device"),
    "verify": ("verify", "seal two photos, ask a daemon for their score and explain the answer"),
    "bench": ("bench", "measure the device: speed against OpenCV, cost, memory, times of refusals"),
    "photo": ("photo", "seal a photo, and look at a sealed one without a key"),
    "calibrate": ("calibrate", "measure what scores mean on a labelled set of photos"),
    "quantise": ("quantise", "measure what a network's layers take in, to quantise it"),
    "train-occlusion": ("train_occlusion", "train the weights that tell what covers a face"),
    "turns": ("turns", "measure whether turned photos are turned upright"),
    "keys": ("keys", "make, rotate and destroy the keys that open photos"),
    "terminals": ("terminals", "which terminals may ask, and how each proves who it is"),
    "release": ("release", "packaged releases: build, sign, publish, install, go back"),
    "support-bundle": ("support_bundle", "what support needs to know, and nothing that must not leave the device"),
    "completion": ("completion", "what makes a shell complete fvctl's commands and options"),
    "manual": ("manual", "the manual page of fvctl, made of what --help says"),
}
"""Sub-command to module and one line of help."""


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line.

    Args:
        only: the one sub-command to load, or a word that is none of them: the others are known by name and summary
            alone. None: load all.
    """
    whole = Parser(prog="fvctl", description="Looks after a faceverifyd device.")
    whole.add_argument("--version", action="version", version=f"faceverifyd {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if only in (None, name):
            _fill(command, module_name)
    add_examples(whole)
    return whole


def _fill(command: argparse.ArgumentParser, module_name: str) -> None:
    """Load a sub-command and take in its arguments."""
    from daemon.config import CONFIG_VARIABLE, config_path  # fvctl's own help needs none of it

    module = importlib.import_module(f"tools.{module_name}")
    command.description = module.__doc__
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument(
        "--config",
        type=Path,
        default=config_path(os.environ),
        help=f"configuration file (default: {CONFIG_VARIABLE}, else the device's own)",
    )
    module.add_arguments(command)
    command.set_defaults(run=module.run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    args = parser(next((word for word in given if not word.startswith("-")), "")).parse_args(given)
    try:
        return int(args.run(args))
    except DeviceError as error:
        say(f"fvctl: {error}")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
