"""Puts an engine where the daemon finds it: whole, durable, by one atomic link, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydantic_core
import yaml

from daemon.errors import EngineRefused
from daemon.inference.engine import COMPILED_FOLDER, RECORD_FILE, EngineRecord, read_record
from tools.whole_file import sync_folder

SHORT = 16
"""Hex digits of an identity in a folder's name; the whole one is in the engine's record."""

_PREVIOUS = ".previous-"
"""Link beside the link of a network: what served before, which pruning keeps."""

_LINK = ".link-"
"""A link that is being made."""


@contextmanager
def workshop(engines: Path) -> Iterator[Path]:
    """A folder to build in, beside what is published; gone afterwards unless it was published. Hold the lock."""
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=engines))
    try:
        _remove(engines.glob(".making-*"), making)  # what an interrupted build left
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder but its record, by path."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != RECORD_FILE]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_durably(path: Path, content: bytes) -> None:
    """A file that survives a power cut, once its folder does."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_record(folder: Path, record: EngineRecord) -> None:
    """Describe what is in a folder, and make what a builder left there survive a power cut too."""
    described = pydantic_core.to_jsonable_python(record)
    for left in (folder / COMPILED_FOLDER).rglob("*"):
        sync_folder(left)
    write_durably(folder / RECORD_FILE, yaml.safe_dump(described, sort_keys=False).encode())
    sync_folder(folder)


def publish(engines: Path, making: Path, record: EngineRecord) -> None:
    """Give a built and proven folder its name and point `<engines>/<name>` to it; hold the lock meanwhile."""
    # A name of its own, so that the same identity built again leaves the one that serves where it is.
    same = f"{record.name}-{record.identity[:SHORT]}"
    folder = engines / f"{same}{making.name.removeprefix('.making')}"
    making.rename(folder)
    sync_folder(engines)
    present = engines / record.name
    if present.is_symlink() and not os.readlink(present).startswith(same):
        _link(engines / f"{_PREVIOUS}{record.name}", os.readlink(present))
    _link(present, folder.name)
    sync_folder(engines)
    _remove(engines.glob(f"{same}-*"), folder)


def published(engines: Path) -> list[Path]:
    """Folders of whole engines, in use or not."""
    return [path for path in sorted(engines.glob("[!.]*-*")) if path.is_dir() and not path.is_symlink()]


def is_current(folder: Path, name: str) -> bool:
    """Whether a folder is what a network's link points to."""
    return (folder.parent / name).resolve() == folder.resolve()


def prune(engines: Path) -> list[Path]:
    """Remove the engines that nothing needs: neither what serves nor what served before it; hold the lock.

    Returns:
        What was removed.
    """
    links = [path for path in engines.iterdir() if path.is_symlink()]
    kept = {path.resolve() for path in links if not path.name.startswith(_LINK)}
    gone = [folder for folder in published(engines) if folder.resolve() not in kept]
    _remove([*gone, *engines.glob(".making-*")], None)
    for link in links:
        if link.name.startswith(_LINK) or not link.exists():
            link.unlink()
    sync_folder(engines)
    return gone


def last_build_s(engines: Path, name: str) -> float | None:
    """How long the accelerator's builder took for a network the last time; None where it never did."""
    known = []
    for folder in published(engines):
        try:
            record = read_record(folder)
        except EngineRefused:  # of an earlier version
            continue
        if record.name == name and record.build_s > 0:
            known.append((record.built_utc, record.build_s))
    return max(known)[1] if known else None


@contextmanager
def locked(engines: Path) -> Iterator[None]:
    """One build at a time.

    Raises:
        EngineRefused: another one is running.
    """
    engines.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (engines / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineRefused(f"another build holds {engines}/.lock", "Wait until it has ended.") from None
        yield


def _link(link: Path, to: str) -> None:
    making = link.with_name(f"{_LINK}{link.name}")
    making.unlink(missing_ok=True)
    making.symlink_to(to)
    making.replace(link)


def _remove(folders: Iterable[Path], but: Path | None) -> None:
    for folder in folders:
        if folder != but and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
