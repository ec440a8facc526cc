"""Which key a photo is sealed with: one in a file, one that a device publishes, or the device's own legacy key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from daemon.config import load_config
from daemon.errors import KeyRefused
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import OPENING_STATES, KeyKind
from daemon.sealed.legacy import IV_BYTES, KEY_BYTES, LegacyFormat, LegacyKey
from tools.key_store import today
from tools.keys import key_store
from tools.reaching import content_of
from tools.sealing import Sealer, jwe_sealer

Jwk = dict[str, Any]
Fetch = Callable[[str | None], list[Jwk]]
"""The JWK set at an address; with None, the one of the daemon that is meant."""


class Format(str, Enum):
    """The formats of FORMAT.md."""

    JWE = "jwe"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Choice:
    """How photos are sealed.

    Attributes:
        format: in which format.
        kid: to which key; None with the legacy format, which names none.
        seal: seals.
    """

    format: Format
    kid: str | None
    seal: Sealer


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """How photos are sealed."""
    formats = [each.value for each in Format]
    parser.add_argument("--format", choices=formats, help="sealed as what (default: as the key is, else jwe)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--jwks", metavar="FILE|URL", help="JWK set to take the key from (default: the daemon's)")
    source.add_argument("--jwk", type=Path, metavar="FILE", help="one JWK: public, or the terminal's own (kind dir)")
    legacy = "key and IV, JSON (default with --format legacy: the device's key store)"
    source.add_argument("--legacy-key", type=Path, metavar="FILE", help=legacy)
    parser.add_argument("--kid", help="which key of the set (default: the first, which is the newest)")
    parser.set_defaults(wrong_usage=parser.error)


def chosen(args: argparse.Namespace, fetch: Fetch) -> Choice:
    """What a command line chooses.

    Args:
        args: with the arguments of `add_key_arguments`.
        fetch: gives JWK sets.

    Raises:
        DeviceError: there is no such key, or it cannot be read.
    """
    if args.format == Format.JWE.value and args.legacy_key:
        args.wrong_usage("--legacy-key is for --format legacy")
    if args.format == Format.LEGACY.value and (args.jwk or args.jwks or args.kid):
        args.wrong_usage("--jwk, --jwks and --kid are for --format jwe")
    if args.legacy_key:
        return Choice(Format.LEGACY, None, LegacyFormat(legacy_key(args.legacy_key)).seal)
    if args.format == Format.LEGACY.value:
        return Choice(Format.LEGACY, None, _own_legacy(args.config).seal)
    jwk = _jwk_of_file(args.jwk, args.kid) if args.jwk else _jwk_of_set(args, fetch)
    return Choice(Format.JWE, str(jwk.get("kid")), jwe_sealer(jwk))


def legacy_key(path: Path) -> LegacyKey:
    """The key and IV in a JSON file: `{"key": ..., "iv": ...}`, or what `fvctl keys add --kind legacy --json` printed.

    Raises:
        DeviceError: it cannot be read, or holds none. The text never says what was read.
    """
    found = _secret_in(path)
    key, iv = (str(found.get(name, "")).encode() for name in ("key", "iv"))
    if len(key) != KEY_BYTES or len(iv) != IV_BYTES:
        raise KeyRefused(
            f"{path} holds no legacy key",
            f'Expected {{"key": "...", "iv": "..."}} of {KEY_BYTES} and {IV_BYTES} bytes.',
        )
    return LegacyKey(key, iv)


def _own_legacy(config: Path) -> LegacyFormat:
    store, _ = key_store(load_config(config))
    ring = KeyRing(store.opened().opened(OPENING_STATES), today)
    if all(key.kind is not KeyKind.LEGACY for key in ring.opening().values()):
        raise KeyRefused(
            "the key store has no legacy key that opens",
            "Name one: --legacy-key FILE; or make one: fvctl keys add --kind legacy --activate",
        )
    return ring.legacy()


def _jwk_of_file(path: Path, kid: str | None) -> Jwk:
    jwk = _secret_in(path)
    return jwk | ({"kid": kid} if kid else {})


def _jwk_of_set(args: argparse.Namespace, fetch: Fetch) -> Jwk:
    source = args.jwks
    elsewhere = source is None or source.startswith(("http://", "https://"))
    keys = fetch(source) if elsewhere else _keys_in(Path(source))
    found = next((key for key in keys if args.kid in (None, key.get("kid"))), None)
    if found is None:
        there = ", ".join(str(key.get("kid")) for key in keys) or "none"
        raise KeyRefused(f"no such key in the set; there: {there}", "Name one of these: --kid KID")
    return found


def _keys_in(path: Path) -> list[Jwk]:
    keys = _json_of(path).get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise KeyRefused(f"{path} holds no JWK set", "One key alone is named with --jwk FILE.")
    return keys


def _secret_in(path: Path) -> Jwk:
    """The object in a file, or the one that `fvctl keys add --json` puts under `secret`."""
    content = _json_of(path)
    inner = content.get("secret")
    return inner if isinstance(inner, dict) else content


def _json_of(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(content_of(path))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise KeyRefused(f"{path} holds no JSON object", "Take a key from /.well-known/jwks.json or fvctl keys add.")
    return content
