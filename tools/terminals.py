"""`fvctl terminals add|list|revoke`: which terminals may ask, by bearer token.

A token is shown once, when it is made; the device keeps a salted hash of it. The daemon reads the file at its start.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from daemon.api.credentials import NAME_PATTERN, TerminalFile, TerminalRecord, token_hash
from daemon.config import load_config
from daemon.errors import ConfigurationRefused
from daemon.yaml_file import read_yaml
from tools.console import OK, show, show_rows

_TOKEN_BYTES = 32
_SALT_BYTES = 16


def load(path: Path) -> tuple[TerminalRecord, ...]:
    """The terminals of a file; none where there is no file yet."""
    return read_yaml(path, TerminalFile, secret=True).terminals if path.exists() else ()


def store(path: Path, terminals: tuple[TerminalRecord, ...]) -> None:
    """Replace the file, whole or not at all; only its owner may read it.

    Raises:
        ConfigurationRefused: the file cannot be written.
    """
    plain = {"terminals": [dataclasses.asdict(record) for record in terminals]}
    making = path.with_suffix(".making")
    try:
        making.unlink(missing_ok=True)
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(yaml.safe_dump(plain, sort_keys=False))
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)
    except OSError as error:
        raise ConfigurationRefused(
            f"{path} cannot be written: {error.strerror}", "Make its folder, or run fvctl as the file's owner."
        ) from error


def _add(path: Path, name: str, as_json: bool) -> None:
    terminals = load(path)
    if any(record.name == name for record in terminals):
        raise ConfigurationRefused(f"terminal {name} exists", f"Revoke it first: fvctl terminals revoke {name}")
    salt, token = secrets.token_hex(_SALT_BYTES), secrets.token_urlsafe(_TOKEN_BYTES)
    store(path, (*terminals, TerminalRecord(name=name, salt=salt, token_sha256=token_hash(salt, token))))
    show(
        {"terminal": name, "token": token, "next": "put the token into the terminal now, then restart the daemon"},
        as_json,
    )


def _revoke(path: Path, name: str, as_json: bool) -> None:
    terminals = load(path)
    kept = tuple(record for record in terminals if record.name != name)
    if len(kept) == len(terminals):
        raise ConfigurationRefused(f"no terminal {name}", "See which there are: fvctl terminals list")
    store(path, kept)
    show({"terminal": name, "revoked": True, "next": "restart the daemon"}, as_json)


def _list(path: Path, _name: str, as_json: bool) -> None:
    show_rows([{"terminal": record.name} for record in load(path)], as_json)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time: two at once would lose one of them."""
    try:
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ConfigurationRefused(
            f"{path} cannot be written: {error.strerror}", "Make its folder, or run fvctl as the file's owner."
        ) from error


_ACTIONS = {"add": _add, "list": _list, "revoke": _revoke}


def run(args: argparse.Namespace) -> int:
    """Add, list or revoke."""
    if bool(args.name) == (args.action == "list"):
        args.wrong_usage("add and revoke need a terminal's name, list takes none")
    if args.name and not re.match(NAME_PATTERN, args.name):
        args.wrong_usage("a terminal's name has letters, digits, spaces, dots, dashes and underscores, 64 at most")
    path = load_config(args.config).terminals.registry
    if path is None:
        raise ConfigurationRefused("no token file is configured", "Name one in terminals.registry.")
    with _locked(path):
        _ACTIONS[args.action](path, args.name or "", args.json)
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument("name", nargs="?", help="of the terminal")
    parser.set_defaults(wrong_usage=parser.error)
