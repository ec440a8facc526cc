"""`fvctl photo`: seals a photo as terminals do, and tells of a sealed one what can be told without a key.

Nothing here opens a photo.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from daemon.config import Config, load_config
from daemon.errors import ConfigurationRefused
from tools.console import NEEDS_DOING, OK, actions, show
from tools.inspection import inspect
from tools.reaching import add_address_arguments, content_of, daemon_of
from tools.sealing_keys import Fetch, Jwk, add_key_arguments, chosen
from tools.whole_file import write_whole

SEAL_EXAMPLES = """examples:
  fvctl photo seal a.jpg --out a.sealed
  fvctl photo seal a.jpg --jwks jwks.json --kid x25519-20261125-0a1b2c
  fvctl photo seal a.jpg --jwks https://device.branch.example:3000/.well-known/jwks.json --ca device-ca.pem
  fvctl photo seal a.jpg --legacy-key legacy.json
  curl --data-urlencode first_encrypted_image@a.sealed --data-urlencode second_encrypted_image@b.sealed \\
      http://127.0.0.1:3000/identity/image_verification/stateless
"""

INSPECT_EXAMPLES = """examples:
  fvctl photo inspect a.sealed
  fvctl photo inspect - --json < a.sealed
"""


def _seal(args: argparse.Namespace) -> int:
    photo = content_of(args.photo)
    choice = chosen(args, _fetching(args))
    text = choice.seal(photo)
    fields: dict[str, Any] = {"format": choice.format.value, "kid": choice.kid, "sealed_bytes": len(text)}
    if args.out:
        write_whole(args.out, text.encode("ascii"))
        show(fields | {"sealed": str(args.out), "next": f"fvctl photo inspect {args.out}"}, args.json)
    elif args.json:
        show(fields | {"sealed_photo": text}, as_json=True)
    else:
        # Where it goes into a file or a program, not one byte more than what is to be sent.
        sys.stdout.write(text + ("\n" if sys.stdout.isatty() else ""))
    return OK


def _fetching(args: argparse.Namespace) -> Fetch:
    """Reaches a daemon only where a key has to be fetched."""

    def fetch(url: str | None) -> list[Jwk]:
        """The set at an address, which needs no configuration then."""
        reached = argparse.Namespace(**vars(args) | {"url": args.url or url})
        return daemon_of(reached).jwks(url)

    return fetch


def _inspect(args: argparse.Namespace) -> int:
    content = sys.stdin.buffer.read() if args.file == "-" else content_of(Path(args.file))
    text = content.decode("utf-8", "replace")
    ended = text.rstrip("\r\n")
    device, unknown = _device(args.config)
    told = inspect(ended, device)
    notes = ["a line break at its end was left out; do not send it"] if ended != text else []
    notes += unknown
    show(told | ({"notes": "; ".join(notes)} if notes else {}), args.json)
    return NEEDS_DOING if told["refused"] else OK


def _device(config: Path) -> tuple[Config | None, list[str]]:
    try:
        return load_config(config), []
    except ConfigurationRefused as error:
        return None, [f"what a device is configured for was not looked at: {str(error.args[0]).splitlines()[0]}"]


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    return int(args.act(args, None))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    seal = add("seal", lambda args, _: _seal(args), "seal a photo as a terminal does")
    seal.add_argument("photo", type=Path, metavar="FILE", help="the photo")
    seal.add_argument("--out", type=Path, metavar="FILE", help="where the sealed photo goes (default: standard output)")
    add_key_arguments(seal)
    add_address_arguments(seal)
    looked = add("inspect", lambda args, _: _inspect(args), "what can be told of a sealed photo without a key")
    looked.add_argument("file", metavar="FILE|-", help="a sealed photo; -: standard input")
    for action, examples in ((seal, SEAL_EXAMPLES), (looked, INSPECT_EXAMPLES)):
        action.epilog = examples
        action.formatter_class = argparse.RawDescriptionHelpFormatter
