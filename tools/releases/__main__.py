"""`fvctl release` of a device that has no release yet: `python -m tools.releases`, with the few packages it needs."""

from __future__ import annotations

import argparse
import sys

from daemon.errors import DeviceError
from tools import release
from tools.console import COULD_NOT_RUN, Parser, say


def main() -> int:
    """Carry out one action; its exit code."""
    parser = Parser(prog="fvctl release", description=release.__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    release.add_arguments(parser)
    parser.set_defaults(json=False)
    args = parser.parse_args()
    try:
        return release.run(args)
    except DeviceError as error:
        say(f"fvctl: {error}")
        return COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
