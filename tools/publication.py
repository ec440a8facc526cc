"""Puts an engine where the daemon finds it: whole, durable, by one atomic link, or not at all."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from daemon.errors import EngineRefused
from daemon.inference.engine import GOLDEN_FILE, RECORD_FILE, EngineRecord
from daemon.inference.golden import check_golden
from daemon.inference.network import OnnxNetwork

SHORT = 16
"""Hex digits of an identity in a folder's name; the whole one is in the engine's record."""


def publish(engines: Path, record: EngineRecord, files: dict[str, bytes], network: OnnxNetwork) -> None:
    """Make the engine's folder and point `<engines>/<name>` to it, or change nothing; hold the lock meanwhile.

    Args:
        engines: folder of all engines.
        record: what the engine is.
        files: its other files, by name.
        network: the engine, loaded; must reproduce the golden vectors as they were written.

    Raises:
        EngineRefused: it does not.
    """
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=engines))
    try:
        _remove(engines.glob(".*-*"), making)  # what an interrupted build left
        described = yaml.safe_dump(
            {**dataclasses.asdict(record), "accelerator": record.accelerator.value}, sort_keys=False
        )
        for name, content in {**files, RECORD_FILE: described.encode()}.items():
            _write_durably(making / name, content)
        check_golden(network, (making / GOLDEN_FILE).read_bytes())
        # A name of its own, so that the same identity built again leaves the one that serves where it is.
        same = f"{record.name}-{record.identity[:SHORT]}"
        folder = engines / f"{same}{making.name.removeprefix('.making')}"
        making.rename(folder)
        _sync(engines)
        link = engines / f".link-{record.name}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(engines / record.name)
        _sync(engines)
        _remove(engines.glob(f"{same}*"), folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _remove(folders: Iterable[Path], but: Path) -> None:
    for folder in folders:
        if folder != but and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


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


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
