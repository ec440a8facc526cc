"""`fvctl completion bash|zsh`: what makes a shell complete fvctl's commands, options and files.

The script knows all commands by itself: completing starts no program. The one owner of shtab.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import shtab

from tools.console import OK, Parser
from tools.examples import commands_of


def completion(shell: str) -> str:
    """The script for a shell: bash or zsh."""
    from tools.cli import parser  # here, as it loads this module

    whole = parser()
    for _, command in commands_of(whole):
        for action in command._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # where shtab looks for it
    return shtab.complete(whole, shell)


def run(args: argparse.Namespace) -> int:
    """Write the script to standard output."""
    sys.stdout.write(completion(args.shell) + "\n")
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    shells = parser.add_subparsers(dest="shell", required=True, parser_class=Parser)
    shells.add_parser("bash", help="for bash; new shells have it once the script is in its folder")
    shells.add_parser("zsh", help="for zsh; new shells have it once the script is in a folder of $fpath")
