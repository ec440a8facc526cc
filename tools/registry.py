"""Changes the registry of terminals: one change at a time, the file whole or not at all, its owner's alone."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from daemon.api.registry import TerminalRecord, load_registry
from daemon.config import Config
from daemon.errors import ConfigurationRefused
from daemon.private import OWNER_ONLY
from tools.whole_file import open_in_place, write_whole


def registry_path(config: Config) -> Path:
    """The file that the configuration names.

    Raises:
        ConfigurationRefused: it names none.
    """
    if config.terminals.registry is None:
        raise ConfigurationRefused("no registry of terminals is configured", "Name a file in terminals.registry.")
    return config.terminals.registry


def load(path: Path) -> tuple[TerminalRecord, ...]:
    """The terminals of a file; none where there is no file yet."""
    return load_registry(path).terminals if path.exists() else ()


def store(path: Path, terminals: tuple[TerminalRecord, ...]) -> None:
    """Replace the file.

    Raises:
        ConfigurationRefused: it cannot be written.
    """
    plain = {"terminals": [dataclasses.asdict(record) for record in terminals]}
    with _writing(path):
        write_whole(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode(), OWNER_ONLY)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One change at a time: two at once would lose one of them."""
    with _writing(path):
        lock = open_in_place(path.with_name(f"{path.name}.lock"))
    with os.fdopen(lock, "w"):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationRefused(
            f"{path} cannot be written: {error.strerror}", "Make its folder, or run fvctl as the file's owner."
        ) from error
