"""The key store: one file with a record per key, each sealed under the key-encryption key (KEK).

A record's metadata is the associated data of its seal: changed metadata does not open. The whole file has a seal too,
so that a record taken out or brought back is noticed. `fvctl keys` writes the file, in one atomic step; the daemon
reads it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pybase64
import pydantic
from pydantic import Field
from pydantic.dataclasses import dataclass

from daemon.errors import KeyRefused
from daemon.manifest import Sha256
from daemon.private import refuse_readable
from daemon.sealed.buffers import wipe
from daemon.sealed.kek import Kek
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey, secret_bytes, secret_of
from daemon.yaml_file import STRICT

STORE_FILE = "keystore.json"

KID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
TERMINAL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"
"""Source of the second: names in the registry of terminals, daemon/api/registry.py."""

RESTORE = "Restore the key store and its key-encryption key from one backup, or make a new one: fvctl keys init"

_RECORD, _FILE = b"faceverifyd key record 1\n", b"faceverifyd key store 1\n"
"""Before the associated data: the seal of one thing never passes for that of another."""


@dataclass(frozen=True, slots=True, config=STRICT)
class KeyRecord:
    """One key. `sealed` is base64 of nonce, ciphertext and tag, and null once the key is destroyed."""

    kid: Annotated[str, Field(pattern=KID_PATTERN)]
    kind: KeyKind
    state: KeyState
    terminal: Annotated[str, Field(pattern=TERMINAL_PATTERN)] | None
    created_utc: str
    changed_utc: str
    expires: date | None
    sealed: str | None = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True, config=STRICT)
class StoreFile:
    """The whole file.

    Attributes:
        generation: counts the changes.
        audit_length: entries of the audit log that led to this state.
        audit_head: hash of the last of them.
        keys: all that ever were.
        seal: base64 of an empty text sealed under the KEK, with everything above as associated data.
    """

    version: Literal[1]
    generation: int
    audit_length: int
    audit_head: Sha256
    keys: tuple[KeyRecord, ...]
    seal: str


@dataclasses.dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store whose seal was opened, and the KEK that opened it."""

    file: StoreFile
    kek: Kek

    def record(self, kid: str) -> KeyRecord:
        """The record of a key.

        Raises:
            KeyRefused: there is none.
        """
        for record in self.file.keys:
            if record.kid == kid:
                return record
        raise KeyRefused(f"no key {kid}", "See which there are: fvctl keys list")

    def opened(
        self, states: Iterable[KeyState], kinds: Iterable[KeyKind] = KeyKind
    ) -> list[tuple[KeyRecord, OpeningKey]]:
        """Every key in one of these states and of one of these kinds, ready to use.

        Raises:
            KeyRefused: a record does not open.
        """
        wanted = {(state, kind) for state in states for kind in kinds}
        found = (record for record in self.file.keys if (record.state, record.kind) in wanted)
        return [(record, open_record(self.kek, record)) for record in found]


def open_current(folder: Path, keks: Callable[[], tuple[Kek, ...]]) -> OpenedStore:
    """The store of a folder, under keys that somebody may exchange in this moment.

    Raises:
        KeyRefused: see `open_store`, and what `keks` raises.
    """
    known = keks()
    try:
        return open_store(folder, known)
    except KeyRefused:
        # The key-encryption key may have been rotated since it was read: once more, with those of now.
        return open_store(folder, keks())


def open_store(folder: Path, keks: tuple[Kek, ...]) -> OpenedStore:
    """The store of a folder, proven to be as it was written.

    Args:
        folder: `keys.store` of the configuration.
        keks: the KEK in use and, during a rotation, the next one.

    Raises:
        KeyRefused: missing, readable by others, damaged, or sealed with another KEK.
    """
    path = folder / STORE_FILE
    try:
        path.stat()
    except FileNotFoundError:
        raise KeyRefused(f"there is no key store: {path}", "Run: fvctl keys init") from None
    except OSError as error:
        raise KeyRefused(
            f"the key store cannot be read: {path}: {error.strerror}", f"Give {folder} to the daemon's account."
        ) from None
    refuse_readable(path, KeyRefused)
    file = read_store(path)
    for kek in keks:
        if kek.open(_binary(file.seal), _bound(file)) is not None:
            return OpenedStore(file, kek)
    raise KeyRefused(f"{path} was changed, or is sealed with another key-encryption key", RESTORE)


def read_store(path: Path) -> StoreFile:
    """What the file says, not proven yet: any KEK, or none, may have sealed it.

    Raises:
        KeyRefused: missing, or not as it was written.
    """
    try:
        return pydantic.TypeAdapter(StoreFile).validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise KeyRefused(f"{path} cannot be read: {error.strerror}", RESTORE) from None
    except pydantic.ValidationError as error:
        # Where, and never what: it may be a part of a secret that got into another place.
        wheres = sorted({".".join(map(str, fault["loc"])) or "the file" for fault in error.errors(include_input=False)})
        raise KeyRefused(f"{path} cannot be read: not as it was written: {', '.join(wheres)[:200]}", RESTORE) from None


def seal_file(kek: Kek, file: StoreFile) -> StoreFile:
    """The same file with its seal made anew."""
    return dataclasses.replace(file, seal=_text(kek.seal(b"", _bound(file))))


def seal_record(kek: Kek, record: KeyRecord, key: OpeningKey) -> KeyRecord:
    """The same record with its key sealed into it."""
    return dataclasses.replace(record, sealed=_text(kek.seal(secret_bytes(key.secret), _metadata(record))))


def open_record(kek: Kek, record: KeyRecord) -> OpeningKey:
    """The key in a record.

    Raises:
        KeyRefused: it is destroyed, or the record was changed.
    """
    if record.sealed is None:
        raise KeyRefused(f"key {record.kid} is destroyed", "Use another key: fvctl keys list")
    plain = kek.open(_binary(record.sealed), _metadata(record))
    if plain is None:
        raise KeyRefused(f"the record of key {record.kid} was changed", RESTORE)
    try:
        return OpeningKey(record.kid, record.kind, record.terminal, secret_of(record.kind, plain))
    finally:
        wipe(plain)


def as_plain(file: StoreFile | KeyRecord) -> dict[str, object]:
    """A record as plain JSON values, in the order of its fields."""
    return dict(json.loads(json.dumps(dataclasses.asdict(file), default=str)))


def _metadata(record: KeyRecord) -> bytes:
    return _RECORD + _canonical({name: value for name, value in as_plain(record).items() if name != "sealed"})


def _bound(file: StoreFile) -> bytes:
    return _FILE + _canonical({name: value for name, value in as_plain(file).items() if name != "seal"})


def _canonical(plain: dict[str, object]) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _text(content: bytes) -> str:
    return pybase64.b64encode(content).decode("ascii")


def _binary(text: str) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        return b""  # opens with no key
