"""Changes the key store: under a lock, each change one entry in the audit log and one atomic replacement of the file.

A kill at any point leaves the old state or the new one. The entry comes first: where the file does not follow, the
next change says so in the log.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from pathlib import Path

from daemon.errors import KeyRefused
from daemon.sealed.kek import Kek
from daemon.sealed.keystore import STORE_FILE, KeyRecord, OpenedStore, StoreFile, as_plain, open_current, seal_file
from tools.key_audit import ABANDONED, AUDIT_FILE, BEGINNING, Entry, append, check_against, read_entries
from tools.whole_file import make_folder, open_in_place, write_whole

Change = Callable[[OpenedStore], tuple[KeyRecord, ...]]
"""The store as it is, to its keys as they shall be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """What is done, to which key, by whom; for the audit log."""

    name: str
    kid: str = ""

    def entry(self) -> Entry:
        """Its entry, without its place in the chain."""
        return Entry(0, now_utc(), self.name, self.kid, actor(), BEGINNING)


class KeyStore:
    """The key store of a folder.

    Args:
        folder: `keys.store` of the configuration.
        keks: gives the KEK in use and, during a rotation, the next one.
    """

    def __init__(self, folder: Path, keks: Callable[[], tuple[Kek, ...]]) -> None:
        self.folder = folder
        self._keks = keks
        self._held = False

    @property
    def exists(self) -> bool:
        """Whether there is a store at all."""
        return (self.folder / STORE_FILE).exists()

    def opened(self) -> OpenedStore:
        """The store as it is.

        Raises:
            KeyRefused: see `open_store`.
        """
        return open_current(self.folder, self._keks)

    def create(self, keys: tuple[KeyRecord, ...], kek: Kek) -> None:
        """A new store.

        Raises:
            KeyRefused: there is one already.
        """
        with self.locked():
            if self.exists:
                raise KeyRefused(f"there is a key store already: {self.folder}", "Use it: fvctl keys list")
            log = self.folder / AUDIT_FILE
            entries = append(log, read_entries(log), [Operation("init").entry()])
            self._write(StoreFile(1, 1, len(entries), entries[-1].hash, keys, ""), kek)

    def change(self, operation: Operation, change: Change, kek: Kek | None = None) -> OpenedStore:
        """Make one change; the store as it is then.

        Args:
            operation: for the audit log.
            change: what is to be changed; what it raises leaves everything as it was.
            kek: seal the store with this one from now on.

        Raises:
            KeyRefused: the store or its log is not as it was written, or what `change` raises.
        """
        with self.locked():
            before = self.opened()
            keys = change(before)
            log = self.folder / AUDIT_FILE
            entries = read_entries(log)
            interrupted = check_against(entries, before.file)
            abandoned = [Operation(ABANDONED).entry()] if interrupted else []
            entries = append(log, entries, [*abandoned, operation.entry()])
            after = dataclasses.replace(
                before.file,
                generation=before.file.generation + 1,
                audit_length=len(entries),
                audit_head=entries[-1].hash,
                keys=keys,
            )
            return self._write(after, kek or before.kek)

    def audit(self) -> tuple[list[Entry], list[Entry]]:
        """The whole log, proven, and of it the entries that no change followed.

        Raises:
            KeyRefused: log and store do not fit together.
        """
        entries = read_entries(self.folder / AUDIT_FILE)
        return entries, check_against(entries, self.opened().file)

    def _write(self, file: StoreFile, kek: Kek) -> OpenedStore:
        sealed = seal_file(kek, file)
        write_whole(self.folder / STORE_FILE, json.dumps(as_plain(sealed), indent=1).encode(), 0o600)
        return OpenedStore(sealed, kek)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One change at a time, also of several steps: two at once would lose one of them.

        Raises:
            KeyRefused: a file cannot be written.
        """
        if self._held:
            yield
            return
        try:
            make_folder(self.folder)
            with os.fdopen(open_in_place(self.folder / ".lock"), "r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._held = True
                yield
        except OSError as error:
            raise KeyRefused(
                f"{error.filename or self.folder} cannot be written: {error.strerror}",
                "Run fvctl as root, and look at the disk.",
            ) from None
        finally:
            self._held = False


def now_utc() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def today() -> date:
    """The day in UTC."""
    return datetime.now(timezone.utc).date()


def actor() -> str:
    """Who runs this, as the operating system knows them."""
    name = os.environ.get("SUDO_USER")
    return f"uid {os.getuid()}" + (f", sudo by {name}" if name else "")
