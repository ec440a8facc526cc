"""`fvctl terminals`: which terminals may ask, what they show, and the certificates for both sides.

    authority                    the device's own certificate authority; once
    server-certificate HOST ...  the device's own certificate, for the names that terminals call it by
    add NAME                     a terminal that shows a bearer token, made now and shown once; or with
         --csr FILE                  a certificate for the terminal's own key, which never leaves it
         --certificate OUT           a certificate and a new key, for terminals that cannot make one
         --subject NAME              a certificate of the branch's own authority
    change NAME                  the same options; what is not given stays as it is
    revoke NAME                  refused from its next request on
    list                         all of them; exit code 1 where one is not accepted, or soon will not be

The daemon sees every change at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from daemon.api.registry import (
    NAME_PATTERN,
    SUBJECT_PATTERN,
    CertificateProof,
    TerminalRecord,
    proven_by,
)
from daemon.config import Authentication, Config, load_config
from daemon.errors import ConfigurationRefused
from tools.authority import Authority
from tools.console import NEEDS_DOING, OK, show, show_rows
from tools.issuing import authority_file, ensure_authority, issue_server_certificate, load_authority
from tools.keys import authority_key
from tools.proofs import Made, Maker
from tools.registry import load, locked, registry_path, store

_SOON = timedelta(days=30)
"""A technician comes by within a month."""

_UNSET = object()
_ACCEPTED = {
    Authentication.NONE: (),
    Authentication.BEARER: ("bearer",),
    Authentication.MUTUAL_TLS: ("certificate", "subject"),
}
"""Kinds of proof that count, by `terminals.authentication`."""


def _add(config: Config, args: argparse.Namespace) -> int:
    path, name, now = registry_path(config), args.names[0], _now()
    with locked(path):
        terminals = load(path)
        if _index(terminals, name) is not None:
            raise ConfigurationRefused(f"terminal {name} exists", f"Revoke it first: fvctl terminals revoke {name}")
        made = _made(config, args, now) or _maker(config, name, now).token()
        record = TerminalRecord(name, made.proof, None, None, now)
        _store_checked(path, (*terminals, _with_options(record, args)))
    show({"terminal": name} | made.told, args.json)
    return OK


def _change(config: Config, args: argparse.Namespace) -> int:
    path, name = registry_path(config), args.names[0]
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


def _revoke(config: Config, args: argparse.Namespace) -> int:
    path, name = registry_path(config), args.names[0]
    with locked(path):
        terminals = load(path)
        at = _index_of(terminals, name)
        store(path, (*terminals[:at], *terminals[at + 1 :]))
    show({"terminal": name, "revoked": True, "next": "nothing: it is refused from its next request on"}, args.json)
    return OK


def _list(config: Config, args: argparse.Namespace) -> int:
    rows = [_row(record, config.terminals.authentication, _now()) for record in load(registry_path(config))]
    show_rows(rows, args.json)
    return OK if all(row["state"] == "accepted" for row in rows) else NEEDS_DOING


def _authority(config: Config, args: argparse.Namespace) -> int:
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


def _server_certificate(config: Config, args: argparse.Namespace) -> int:
    tls = config.server.tls
    if tls is None:
        raise ConfigurationRefused("TLS is not configured", "Name certificate and key in server.tls.")
    authority = load_authority(authority_file(config), authority_key(config))
    with locked(tls.key):
        show(issue_server_certificate(authority, tls, args.names, _now()), args.json)
    return OK


_ACTIONS: dict[str, Callable[[Config, argparse.Namespace], int]] = {
    "add": _add,
    "change": _change,
    "revoke": _revoke,
    "list": _list,
    "authority": _authority,
    "server-certificate": _server_certificate,
}
_NAMES = {"list": range(1), "authority": range(1), "server-certificate": range(1, 100)}
"""How many names an action takes; the others take one."""


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


def _maker(config: Config, name: str, now: datetime) -> Maker:
    def authority() -> Authority:
        return load_authority(authority_file(config), authority_key(config))

    return Maker(name, authority, now)


def _made(config: Config, args: argparse.Namespace, now: datetime) -> Made | None:
    """The proof that the options ask for; None where they ask for none."""
    maker = _maker(config, args.names[0], now)
    if args.csr:
        return maker.for_request(args.csr)
    if args.certificate:
        return maker.with_new_key(args.certificate)
    if args.subject:
        return maker.subject(args.subject)
    return maker.token() if args.token else None


def _with_options(record: TerminalRecord, args: argparse.Namespace) -> TerminalRecord:
    given = {name: getattr(args, name) for name in ("legacy_until", "requests_per_minute")}
    return dataclasses.replace(record, **{name: value for name, value in given.items() if value is not _UNSET})


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
    """Do what is asked for."""
    if len(args.names) not in _NAMES.get(args.action, range(1, 2)):
        args.wrong_usage("add, change and revoke need one name, server-certificate hosts; list and authority take none")
    if args.action in ("add", "change", "revoke") and not re.match(NAME_PATTERN, args.names[0]):
        args.wrong_usage("a terminal's name has letters, digits, spaces, dots, dashes and underscores, 64 at most")
    if args.subject and not re.match(SUBJECT_PATTERN, args.subject):
        args.wrong_usage("a subject is a DNS name or common name of 253 characters at most")
    return _ACTIONS[args.action](load_config(args.config), args)


def _date_or_never(text: str) -> date | None:
    return None if text == "never" else date.fromisoformat(text)


def _rate_or_default(text: str) -> int | None:
    rate = None if text == "default" else int(text)
    if rate is not None and rate < 1:
        raise ValueError(text)
    return rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the terminal, or the device's host names")
    shows = parser.add_mutually_exclusive_group()
    shows.add_argument("--token", action="store_true", help="a new bearer token (add: the default)")
    shows.add_argument("--csr", type=Path, metavar="FILE", help="certificate request in PEM, made on the terminal")
    shows.add_argument("--certificate", type=Path, metavar="OUT", help="new file for a new key and its certificate")
    shows.add_argument("--subject", metavar="NAME", help="DNS name, or common name, in the branch's own certificates")
    parser.add_argument(
        "--legacy-until",
        type=_date_or_never,
        default=_UNSET,
        metavar="DATE",
        help="last day of the legacy format, as 2027-06-30, or never (the default)",
    )
    parser.add_argument(
        "--requests-per-minute",
        type=_rate_or_default,
        default=_UNSET,
        metavar="N",
        help="of this terminal, or default: the configuration's",
    )
    parser.set_defaults(wrong_usage=parser.error)
