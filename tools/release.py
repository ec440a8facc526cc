"""`fvctl release`: packaged releases, from their making to the device that runs them.

    fvctl release build | deb                     put one together; the package for a new device
    fvctl release keys | publish | rollout | sign the repository that a fleet is updated from
    fvctl release status | check | history        what this device is at, and what there is for it
    fvctl release install | rollback | resume     another release, or the one before

The README's "For the fleet" has the whole way.
"""

from __future__ import annotations

import argparse

from tools.console import actions
from tools.releases import for_devices, for_makers


def run(args: argparse.Namespace) -> int:
    """Carry out one action."""
    return int(args.act(args, None))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    for_devices.add_arguments(add)
    for_makers.add_arguments(add)
