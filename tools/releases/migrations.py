"""Configurations of older releases made into today's: forward only, into a file of its own.

A release reads the file of its own schema. The older file stays where it is: it is the backup, and what the older
release reads again after a rollback. So the switch of one link changes program and configuration together.

`python -m tools.releases.migrations FOLDER`, by the Python of the release that knows the newer schema.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from daemon.config import load_config
from daemon.errors import DeviceError, ReleaseRefused
from tools.whole_file import write_whole

Document = dict[str, Any]
Migration = Callable[[Document], Document]

SCHEMA = 1
"""Of this release's configuration: raised with each change that an older file does not satisfy."""

MIGRATIONS: Mapping[int, Migration] = {}
"""From a schema to the next one, by the number of the older."""

_MODE = 0o640


def file_of(schema: int) -> str:
    """Name of the configuration's file, for a schema."""
    return "faceverifyd.yaml" if schema == 1 else f"faceverifyd.{schema}.yaml"


def migrate(folder: Path, schema: int = SCHEMA, migrations: Mapping[int, Migration] = MIGRATIONS) -> int | None:
    """Make the configuration of a schema from the newest older one, unless it is there.

    Args:
        folder: of the configurations.
        schema: the one that is wanted.
        migrations: from a schema to the next one.

    Returns:
        The schema that it was made from; None where nothing was to do, or there is none at all.

    Raises:
        DeviceError: a step on the way is missing, or the outcome is no configuration; there is no new file then.
    """
    there = [number for number in range(1, schema + 1) if (folder / file_of(number)).is_file()]
    if not there or there[-1] == schema:
        return None
    document = yaml.safe_load((folder / file_of(there[-1])).read_text("utf-8"))
    for number in range(there[-1], schema):
        if number not in migrations:
            raise ReleaseRefused(
                f"no way from schema {number} of the configuration to the next",
                f"Write {folder / file_of(schema)} by hand, after the release's systemd/faceverifyd.yaml.",
            )
        document = migrations[number](document)
    target = folder / file_of(schema)
    write_whole(target, yaml.safe_dump(document, sort_keys=False).encode(), _MODE)
    if schema == SCHEMA:
        try:
            load_config(target)
        except DeviceError:
            target.unlink()
            raise
    return there[-1]


if __name__ == "__main__":
    migrate(Path(sys.argv[1]))
