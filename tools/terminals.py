"""`fvctl terminals`: which terminals may ask, what they show, and the certificates for both sides.

A terminal shows a bearer token, a certificate of the device's own authority, or one of the branch's authority. Better
than all: it makes a key that never leaves it, and `add NAME --csr FILE` gives it a certificate. The daemon notices
every change at the next request, without a restart.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from daemon.api.registry import NAME_PATTERN, SUBJECT_PATTERN, CertificateProof, TerminalRecord, proven_by
from daemon.config import Authentication, Config, load_config
from daemon.errors import ConfigurationRefused
from tools.authority import Authority
from tools.console import NEEDS_DOING, OK, actions, show, show_rows
from tools.issuing import authority_file, ensure_authority, issue_server_certificate, load_authority
from tools.key_making import day
from tools.keys import authority_key
from tools.proofs import Made, Maker
from tools.registry import load, locked, registry_path, store

_SOON = timedelta(days=30)
"""A technician comes by within a month."""

_ACCEPTED = {
    Authentication.NONE: (),
    Authentication.BEARER: ("bearer",),
    Authentication.MUTUAL_TLS: ("certificate", "subject"),
}
"""Kinds of proof that count, by `terminals.authentication`."""


def _add(args: argparse.Namespace, config: Config) -> int:
    path, name, now = registry_path(config), args.name, _now()
    with locked(path):
        terminals = load(path)
        if _index(terminals, name) is not None:
            raise ConfigurationRefused(f"terminal {name} exists", f"Revoke it first: fvctl terminals revoke {name}")
        made = _made(config, args, now) or _maker(config, name, now).token()
        record = TerminalRecord(name, made.proof, None, None, now)
        _store_checked(path, (*terminals, _with_options(record, args)))
    show({"terminal": name} | made.told, args.json)
    return OK


def _change(args: argparse.Namespace, config: Config) -> int:
    path, name = registry_path(config), args.name
    with locked(path):
        terminals = load(path)
        at = _index_of(terminals, name)
        made = _made(config, args, _now())
        record = _with_options(terminals[at], args)
        if made is not None:
            record = dataclasses.replace(record, proof=made.proof)
        _store_checked(path, (*terminals[:at], record, *terminals[at + 1 :]))
    show({"terminal": name} | (made.told if made else {"changed": True}), args.json)
    return OK


def _revoke(args: argparse.Namespace, config: Config) -> int:
    path, name = registry_path(config), args.name
    with locked(path):
        terminals = load(path)
        at = _index_of(terminals, name)
        store(path, (*terminals[:at], *terminals[at + 1 :]))
    show({"terminal": name, "revoked": True, "next": "nothing: it is refused from its next request on"}, args.json)
    return OK


def _list(args: argparse.Namespace, config: Config) -> int:
    rows = [_row(record, config.terminals.authentication, _now()) for record in load(registry_path(config))]
    show_rows(rows, args.json)
    return OK if all(row["state"] == "accepted" for row in rows) else NEEDS_DOING


def _authority(args: argparse.Namespace, config: Config) -> int:
    path = authority_file(config)
    with locked(path):
        authority = ensure_authority(path, authority_key(config), _now())
    show(
        {
            "authority": str(path),
            "expires_utc": authority.expires_utc.isoformat(),
            "next": "let terminals trust the certificate in this file; then: fvctl terminals server-certificate HOST",
        },
        args.json,
    )
    return OK


def _server_certificate(args: argparse.Namespace, config: Config) -> int:
    tls = config.server.tls
    if tls is None:
        raise ConfigurationRefused("TLS is not configured", "Name certificate and key in server.tls.")
    authority = load_authority(authority_file(config), authority_key(config))
    with locked(tls.key):
        show(issue_server_certificate(authority, tls, args.hosts, _now()), args.json)
    return OK


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def _maker(config: Config, name: str, now: datetime) -> Maker:
    def authority() -> Authority:
        """The device's own."""
        return load_authority(authority_file(config), authority_key(config))

    return Maker(name, authority, now)


def _made(config: Config, args: argparse.Namespace, now: datetime) -> Made | None:
    """The proof that the options ask for; None where they ask for none."""
    maker = _maker(config, args.name, now)
    if args.csr:
        return maker.for_request(args.csr)
    if args.certificate:
        return maker.with_new_key(args.certificate)
    if args.subject:
        return maker.subject(args.subject)
    return maker.token() if args.token else None


def _with_options(record: TerminalRecord, args: argparse.Namespace) -> TerminalRecord:
    given = {name: getattr(args, name) for name in ("legacy_until", "requests_per_minute") if name in args}
    return dataclasses.replace(record, **given)


def _store_checked(path: Path, terminals: tuple[TerminalRecord, ...]) -> None:
    """Store what can be read back: no two terminals show the same."""
    shown = [proven_by(record) for record in terminals]
    names = [record.name for record, proof in zip(terminals, shown, strict=True) if shown.count(proof) > 1]
    if names:
        raise ConfigurationRefused(f"these would show the same: {', '.join(names)}", "Give each its own.")
    store(path, terminals)


def _index(terminals: tuple[TerminalRecord, ...], name: str) -> int | None:
    return next((at for at, record in enumerate(terminals) if record.name == name), None)


def _index_of(terminals: tuple[TerminalRecord, ...], name: str) -> int:
    at = _index(terminals, name)
    if at is None:
        raise ConfigurationRefused(f"no terminal {name}", "See which there are: fvctl terminals list")
    return at


def _row(record: TerminalRecord, authentication: Authentication, now: datetime) -> dict[str, Any]:
    proof = record.proof
    expires = proof.expires_utc if isinstance(proof, CertificateProof) else None
    return {
        "terminal": record.name,
        "state": _state(record, authentication, now),
        "shows": proof.kind,
        "expires_utc": expires and expires.isoformat(),
        "legacy_until": record.legacy_until and record.legacy_until.isoformat(),
        "requests_per_minute": record.requests_per_minute,
        "added_utc": record.added_utc.isoformat(),
    }


def _state(record: TerminalRecord, authentication: Authentication, now: datetime) -> str:
    proof = record.proof
    if proof.kind not in _ACCEPTED[authentication]:
        return f"not accepted: terminals.authentication is {authentication.value}"
    if isinstance(proof, CertificateProof) and proof.expires_utc <= now + _SOON:
        return "expired" if proof.expires_utc <= now else "expires soon"
    return "accepted"


def run(args: argparse.Namespace) -> int:
    """Run one action on the configured registry."""
    return int(args.act(args, load_config(args.config)))


def _name(text: str) -> str:
    return _matching(NAME_PATTERN, text, "letters, digits, spaces, dots, dashes and underscores, 64 at most")


def _subject(text: str) -> str:
    return _matching(SUBJECT_PATTERN, text, "a DNS name or common name, 253 characters at most")


def _matching(pattern: str, text: str, expected: str) -> str:
    if not re.fullmatch(pattern, text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
    return text


def _day_or_never(text: str) -> date | None:
    try:
        return None if text == "never" else day(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected YYYY-MM-DD or never") from None


def _rate_or_default(text: str) -> int | None:
    if text == "default":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 up, or default")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    add("authority", _authority, "make the device's own certificate authority; once")
    server = add("server-certificate", _server_certificate, "make the device's own certificate")
    server.add_argument("hosts", nargs="+", metavar="HOST", help="DNS name or address by which terminals call it")
    added = add("add", _add, "let a terminal in, by a bearer token or a certificate")
    changed = add("change", _change, "give a terminal another proof or limits; what is not given stays")
    revoked = add("revoke", _revoke, "let a terminal in no more")
    for action in (added, changed, revoked):
        action.add_argument("name", type=_name, metavar="NAME", help="of the terminal")
    for action in (added, changed):
        _add_options(action)
    add("list", _list, "all terminals; exit code 1 where one is not let in, or soon will not be")


def _add_options(action: argparse.ArgumentParser) -> None:
    shows = action.add_mutually_exclusive_group()
    shows.add_argument("--token", action="store_true", help="a new bearer token, shown once (add: the default)")
    shows.add_argument("--csr", type=Path, metavar="FILE", help="a certificate for the terminal's own key: its request")
    shows.add_argument("--certificate", type=Path, metavar="OUT", help="a new key and its certificate, into a new file")
    shows.add_argument("--subject", type=_subject, metavar="NAME", help="the name in a certificate of the branch's own")
    unset: dict[str, Any] = {"default": argparse.SUPPRESS}
    legacy = "last day of the legacy format, YYYY-MM-DD, or never (add: the default)"
    action.add_argument("--legacy-until", type=_day_or_never, metavar="DAY", help=legacy, **unset)
    rate = "how often it may ask, or default: as the configuration says"
    action.add_argument("--requests-per-minute", type=_rate_or_default, metavar="N", help=rate, **unset)
