"""The audit log of the key store: one JSON line per change, each holding the hash of the one before.

A line that was changed, taken out or put in breaks the chain; the store, sealed under the key-encryption key, holds
the length and the last hash, so that a chain made anew or cut short is noticed too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from daemon.errors import KeyRefused
from daemon.sealed.keystore import StoreFile
from tools.whole_file import open_in_place, sync_folder

AUDIT_FILE = "audit.jsonl"

BEGINNING = "0" * 64
"""What the first entry has for the hash of the one before."""

ABANDONED = "abandoned"
"""Operation of an entry that says: the one before was interrupted and never took effect."""

_REMEDY = "Keep a copy of the log, find out who wrote to it, and restore the folder of keys from a backup."


@dataclass(frozen=True, slots=True)
class Entry:
    """One change.

    Attributes:
        number: counts from 1.
        time_utc: when, ISO 8601.
        operation: what `fvctl keys` was asked to do.
        kid: the key it was done to; empty where it was done to the store.
        actor: who did it, as the operating system knows them.
        previous: hash of the entry before.
        hash: SHA-256 of everything above as canonical JSON, 64 lower-case hex digits.
    """

    number: int
    time_utc: str
    operation: str
    kid: str
    actor: str
    previous: str
    hash: str = ""

    def hashed(self) -> Entry:
        """The same entry with its hash."""
        content = {name: value for name, value in asdict(self).items() if name != "hash"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        return replace(self, hash=hashlib.sha256(canonical).hexdigest())


def read_entries(path: Path) -> list[Entry]:
    """Every whole line of the log, its chain proven; what a power cut left of a last line does not count.

    Raises:
        KeyRefused: an entry was changed, taken out or put in, or the log cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    except OSError as error:
        raise KeyRefused(f"the audit log cannot be read: {path}: {error.strerror}", "Run fvctl as root.") from None
    entries, previous = [], BEGINNING
    for number, line in enumerate(lines, 1):
        entry = _parsed(line)
        if entry is None or (entry.number, entry.previous, entry.hashed()) != (number, previous, entry):
            raise KeyRefused(f"{path}: line {number} is not what was written", _REMEDY)
        entries.append(entry)
        previous = entry.hash
    return entries


def _parsed(line: bytes) -> Entry | None:
    try:
        entry = Entry(**json.loads(line))
        # One spelling: a line that means the same and is longer would move those behind it.
        return entry if _line(entry) == line + b"\n" else None
    except (ValueError, TypeError, RecursionError):
        return None


def check_against(entries: list[Entry], store: StoreFile) -> list[Entry]:
    """The entries that no change of the store followed: at most those of an operation that was interrupted.

    Raises:
        KeyRefused: the log is not the one that led to the store as it is.
    """
    length = store.audit_length
    head = entries[length - 1].hash if 0 < length <= len(entries) else BEGINNING
    if length > len(entries) or head != store.audit_head:
        raise KeyRefused(
            f"the audit log has {len(entries)} entries; the key store was left by entry {length} of another log",
            _REMEDY,
        )
    return entries[length:]


def append(path: Path, entries: list[Entry], new: Iterable[Entry]) -> list[Entry]:
    """Write entries behind those that are there, durably; number, previous and hash are given to them here.

    Args:
        path: the log.
        entries: all whole entries that it holds.
        new: to be added, in order.

    Returns:
        All entries.
    """
    whole = list(entries)
    for entry in new:
        previous = whole[-1].hash if whole else BEGINNING
        whole.append(replace(entry, number=len(whole) + 1, previous=previous).hashed())
    written = b"".join(_line(entry) for entry in entries)
    with os.fdopen(open_in_place(path), "r+b") as file:
        file.truncate(len(written))  # what a power cut left of a last line
        file.seek(len(written))
        file.write(b"".join(_line(entry) for entry in whole[len(entries) :]))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return whole


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry)).encode() + b"\n"
