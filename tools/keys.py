"""`fvctl keys`: the keys that open photos, from their making to their destruction.

A rotation: add a key and activate it; terminals fetch the new JWK set; retire the old key; when no terminal uses it any
more, destroy it. The daemon notices each step by itself, without a restart.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from daemon.config import Config, load_config
from daemon.errors import KeyRefused, SealedPhotoRefused
from daemon.sealed.jwe import JweFormat
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import OPENING_STATES, KeyKind, KeyState, OpeningKey, jwk_set, public_jwk
from daemon.sealed.keystore import KeyRecord, OpenedStore
from tools.console import NEEDS_DOING, OK, actions, say, show, show_rows
from tools.kek_keeping import KekKeeper, kek_keeper
from tools.key_changes import adding, moving, new_record, resealing
from tools.key_making import as_jwk, day, key_of_jwk, make_key, published_key
from tools.key_store import KeyStore, Operation, today

_SYMMETRIC = (KeyKind.DIRECT, KeyKind.LEGACY)
_SHORT = 12
_ADDED = (KeyKind.X25519, KeyKind.P256, KeyKind.RSA, *_SYMMETRIC, KeyKind.ENROLMENT)
"""What `add` makes; the authority's is made where it is needed."""


def key_store(config: Config) -> tuple[KeyStore, KekKeeper]:
    """The configured store, and the keeper of what it is sealed with."""
    keeper = kek_keeper(config.keys, os.environ)
    return KeyStore(config.keys.store, keeper.keks), keeper


def authority_key(config: Config) -> ec.EllipticCurvePrivateKey:
    """The private key of the device's own certificate authority; made at the first call.

    Raises:
        KeyRefused: the key store cannot be opened or changed.
    """
    store, _ = key_store(config)
    found = _secret_of_kind(store.opened(), KeyKind.AUTHORITY)
    if found is None:
        made = make_key(KeyKind.AUTHORITY)
        store.change(Operation("add", made.kid), adding(made, KeyState.ACTIVE, None))
        found = made
    assert isinstance(found.secret, ec.EllipticCurvePrivateKey)  # the store's own check
    return found.secret


def _secret_of_kind(store: OpenedStore, kind: KeyKind) -> OpeningKey | None:
    return next((key for _, key in store.opened((KeyState.ACTIVE,)) if key.kind is kind), None)


def _init(args: argparse.Namespace, config: Config) -> int:
    store, keeper = key_store(config)
    enrolment, first = make_key(KeyKind.ENROLMENT), make_key(KeyKind.X25519)
    with store.locked():
        if store.exists and not keeper.has_one():
            raise KeyRefused("there is a key store, and its key-encryption key is missing", "Restore it from a backup.")
        kek = keeper.first()
        store.create(tuple(new_record(kek, key, KeyState.ACTIVE) for key in (enrolment, first)), kek)
    shown = {"store": str(store.folder), "enrolment": enrolment.kid, "key": first.kid}
    show(shown | {"next": "fvctl keys export-jwks, or start the daemon"}, args.json)
    return OK


def _list(args: argparse.Namespace, config: Config) -> int:
    store, _ = key_store(config)
    show_rows([_shown(record) for record in store.opened().file.keys], args.json)
    return OK


def _shown(record: KeyRecord) -> dict[str, Any]:
    return {
        "kid": record.kid,
        "kind": record.kind.value,
        "state": record.state.value,
        "terminal": record.terminal,
        "expires": record.expires and record.expires.isoformat(),
        "created_utc": record.created_utc,
        "changed_utc": record.changed_utc,
    }


def _add(args: argparse.Namespace, config: Config) -> int:
    if args.published and not (config.sealed.legacy and config.sealed.allow_published_key):
        raise KeyRefused(
            "the daemon refuses the key that the vendor's manual prints, and with it the whole store",
            "Only for trying things out set sealed.legacy and sealed.allow_published_key: true.",
        )
    key = published_key() if args.published else make_key(KeyKind(args.kind), args.terminal)
    fields = _keep(args, config, "add", key)
    shown_once = {"secret": as_jwk(key), "once": "give it to the terminal now; it is not shown again"}
    show(fields | (shown_once if key.kind in _SYMMETRIC and not args.published else {}), args.json)
    return OK


def _keep(args: argparse.Namespace, config: Config, operation: str, key: OpeningKey) -> dict[str, Any]:
    store, _ = key_store(config)
    state = KeyState.ACTIVE if args.activate else KeyState.STAGED
    store.change(Operation(operation, key.kid), adding(key, state, args.expires))
    then = {} if args.activate else {"next": f"fvctl keys activate {key.kid}"}
    return {"kid": key.kid, "kind": key.kind.value, "state": state.value, **then}


def _import(args: argparse.Namespace, config: Config) -> int:
    store, _ = key_store(config)
    enrolment = store.opened().opened(OPENING_STATES, [KeyKind.ENROLMENT])
    try:
        text = args.file.read_text("ascii").strip()
        # An enrolment key opens keys and never photos: only here does it count as one that opens.
        opens = {key.kid: dataclasses.replace(key, kind=KeyKind.X25519) for _, key in enrolment}
        plain = JweFormat(None).open(text, opens, "")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRefused(f"{args.file} cannot be read: {error}", "Name a file with one JWE.") from None
    except SealedPhotoRefused:
        raise KeyRefused(
            f"{args.file} is not sealed to an enrolment key of this device",
            "Seal the key to what this prints: fvctl keys export-jwks --enrolment; where that has none: "
            "fvctl keys add --kind enrolment --activate",
        ) from None
    show(_keep(args, config, "import", key_of_jwk(bytes(plain), args.terminal)), args.json)
    return OK


def _move(args: argparse.Namespace, config: Config) -> int:
    state = {"activate": KeyState.ACTIVE, "retire": KeyState.RETIRING, "destroy": KeyState.DESTROYED}[args.action]
    store, _ = key_store(config)
    even_active = getattr(args, "compromised", False)
    store.change(Operation(args.action, args.kid), moving(args.kid, state, even_active))
    show({"kid": args.kid, "state": state.value}, args.json)
    return OK


def _rotate_kek(args: argparse.Namespace, config: Config) -> int:
    store, keeper = key_store(config)
    with store.locked():  # to the end: another rotation could make a next key over the one that is just used
        next_kek = keeper.next(store.opened().kek)
        if next_kek is None:
            made = {"made": "the next key-encryption key", "next": "restart the daemon, then run this again"}
            show(made, args.json)
            return NEEDS_DOING
        store.change(Operation("rotate-kek"), resealing(next_kek), next_kek)
        restarts = keeper.keep_only(next_kek)
        sealed = len(store.opened().file.keys)
    then = {"next": "restart the daemon now: until then it opens no photo"} if restarts else {}
    show({"rotated": True, "keys": sealed, **then}, args.json)
    return NEEDS_DOING if restarts else OK


def _export_jwks(args: argparse.Namespace, config: Config) -> int:
    store, _ = key_store(config)
    held = store.opened().opened((KeyState.ACTIVE,))
    if args.enrolment:
        keys = [public_jwk(key.kid, key.kind, key.secret) for _, key in held if key.kind is KeyKind.ENROLMENT]
        show(jwk_set([jwk for jwk in keys if jwk]), as_json=True)
    else:
        show(KeyRing(held, today).jwks(), as_json=True)
    return OK


def _audit(args: argparse.Namespace, config: Config) -> int:
    store, _ = key_store(config)
    entries, interrupted = store.audit()
    rows = [dataclasses.asdict(entry) for entry in entries]
    for row in () if args.json else rows:  # a table has no room for whole hashes
        row |= {name: row[name][:_SHORT] for name in ("previous", "hash")}
    show_rows(rows, args.json)
    if interrupted:
        say(
            f"the last {len(interrupted)} entries never took effect: an operation was interrupted\n"
            "  remedy: run it again; if nobody ran it, find out who wrote to the log"
        )
    return NEEDS_DOING if interrupted else OK


def run(args: argparse.Namespace) -> int:
    """Run one action on the configured store."""
    return int(args.act(args, load_config(args.config)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    add("init", _init, "make the store, its key-encryption key, the enrolment key and a first key")
    add("list", _list, "every key there ever was, and its state")
    made = add("add", _add, "make a key")
    made.add_argument("--kind", choices=[kind.value for kind in _ADDED], default=KeyKind.X25519.value)
    made.add_argument("--published", action="store_true", help="the vendor's published legacy key, for trying out")
    imported = add("import", _import, "take in a key that was sealed to the enrolment key")
    imported.add_argument("file", type=Path, help="a JWE in compact form, its content a private JWK")
    for action in (made, imported):
        action.add_argument("--terminal", help="the terminal whose key it is (kind dir)")
        action.add_argument("--expires", type=day, metavar="YYYY-MM-DD", help="the last day on which it opens")
        action.add_argument("--activate", action="store_true", help="use it at once")
    add("activate", _move, "open with it and publish it").add_argument("kid")
    add("retire", _move, "open with it, and publish it no more").add_argument("kid")
    destroyed = add("destroy", _move, "take its secret out of the store for ever")
    destroyed.add_argument("kid")
    destroyed.add_argument("--compromised", action="store_true", help="also where it is active")
    add("rotate-kek", _rotate_kek, "seal the store under a new key-encryption key")
    exported = add("export-jwks", _export_jwks, "the public keys, as terminals fetch them")
    exported.add_argument("--enrolment", action="store_true", help="the key that imported keys are sealed to")
    add("audit", _audit, "prove the log of all changes, and show it")
