"""`fvctl verify A B`: seals two photos as a terminal does, asks a daemon for their score, and explains the answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from daemon.api.intake import AUTO_ROTATE, CHECK_QUALITY
from daemon.api.responses import SUCCESS_CODE
from tools.asking import sealed_form
from tools.console import NEEDS_DOING, OK, show
from tools.explanation import fields_of
from tools.reaching import add_address_arguments, add_credential_arguments, content_of, daemon_of
from tools.sealing_keys import add_key_arguments, chosen

EXAMPLES = """examples:
  fvctl verify a.jpg b.jpg
  fvctl verify a.jpg b.jpg --format legacy
  fvctl verify a.jpg b.jpg --url https://device.branch.example:3000 --ca device-ca.pem --token till-3.token
  fvctl verify a.jpg b.jpg --url https://device.branch.example:3000 --certificate till-3.pem --jwk till-3.jwk
"""


def run(args: argparse.Namespace) -> int:
    """Verify two photos through the daemon."""
    daemon = daemon_of(args)
    photos = (content_of(args.first), content_of(args.second))
    choice = chosen(args, daemon.jwks)
    options = {AUTO_ROTATE: str(args.auto_rotate).lower(), CHECK_QUALITY: str(args.check_quality).lower()}
    answer = daemon.ask(sealed_form(choice.seal, photos) | options)
    sealed = {"sealed_as": choice.format.value} | ({"kid": choice.kid} if choice.kid else {})
    show(fields_of(answer) | sealed, args.json)
    return OK if answer.body["code"] == SUCCESS_CODE else NEEDS_DOING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("first", type=Path, help="photo one")
    parser.add_argument("second", type=Path, help="photo two")
    add_address_arguments(parser)
    add_credential_arguments(parser)
    add_key_arguments(parser)
    parser.add_argument("--auto-rotate", action="store_true", help="look for an upright face in turned photos too")
    parser.add_argument("--check-quality", action="store_true", help="refuse a covered face")
