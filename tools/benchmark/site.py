"""A daemon of the bench's own: configured like the site's, with keys that are made for it and gone afterwards.

It listens on a free port of loopback, for anybody on this machine, as often as they like; it serves the site's engines
with the site's limits on work, so that what is measured is the device as it is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from daemon.config import Config, load_config
from tools.asking import Daemon
from tools.benchmark.load import Sealed
from tools.benchmark.photos import Pair
from tools.demonstration import ensure_keys, serving
from tools.sealing import jwe_sealer

_OFTEN = 1_000_000_000
"""Requests a minute that nobody reaches: the rate is measured, not limited."""

_NEVER_S = 3600.0
"""The idle daemon's test of itself would take processor time from whoever is measured meanwhile."""


class BenchSite(NamedTuple):
    """A configuration that a daemon can be started with.

    Attributes:
        path: the file.
        port: where the daemon will listen.
    """

    path: Path
    port: int

    @property
    def config(self) -> Config:
        """What the file says."""
        return load_config(self.path)


@contextmanager
def bench_site(config: Path) -> Iterator[BenchSite]:
    """A site like the configured one, for the length of the block.

    Raises:
        ConfigurationRefused: the configuration is missing or has faults.
    """
    load_config(config)
    document = yaml.safe_load(config.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="fvctl-bench-") as folder:
        port = _free_port()
        path = Path(folder) / "faceverifyd.yaml"
        path.write_text(yaml.safe_dump(_changed(document, Path(folder), port)), "utf-8")
        ensure_keys(load_config(path))
        yield BenchSite(path, port)


def _changed(document: dict[str, Any], folder: Path, port: int) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {
        "server": {"bind": [f"127.0.0.1:{port}"], "tls": None},
        "management": {"networks": ["127.0.0.0/8"]},
        "terminals": {
            "authentication": "none",
            "registry": None,
            "requests_per_minute": _OFTEN,
            "burst": _OFTEN,
        },
        "health": {"idle_test_s": _NEVER_S},
        "keys": {"store": str(folder / "keys"), "kek": "file", "file": str(folder / "keys" / "kek"), "pkcs11": None},
        "sealed": {"jwe": True, "freshness": None, "legacy": False, "allow_published_key": False},
    }
    merged = {section: values | changes.get(section, {}) for section, values in document.items() if section in changes}
    return document | merged | {"environment": "development"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(site: BenchSite) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A daemon that is ready, for the length of the block; and the seconds from its start until it was.

    Raises:
        EngineRefused: it did not become ready.
    """
    began_s = time.monotonic()
    with serving(site.path, site.port) as process:
        yield process, time.monotonic() - began_s


def start_times_s(site: BenchSite, times: int) -> list[float]:
    """Seconds from start to ready, one start after the other."""
    found = []
    for _ in range(times):
        with started(site) as (_, ready_s):
            found.append(ready_s)
    return found


def sealed_pairs(site: BenchSite, pairs: list[Pair]) -> list[Sealed]:
    """The pairs as terminals send them, by the key that the running daemon publishes."""
    seal = jwe_sealer(Daemon(f"http://127.0.0.1:{site.port}").jwks()[0])
    return [(seal(pair.first), seal(pair.second)) for pair in pairs]


class Cores(NamedTuple):
    """Where things run.

    Attributes:
        measured: everything that is measured.
        asking: who asks: the other cores where there are any, else the same.
    """

    measured: tuple[int, ...]
    asking: tuple[int, ...]


@contextmanager
def on_cores(wanted: int) -> Iterator[Cores]:
    """Keep this process, and what it starts, to so many cores for the length of the block."""
    allowed = os.sched_getaffinity(0)
    cores = tuple(sorted(allowed))
    os.sched_setaffinity(0, cores[:wanted])
    try:
        yield Cores(cores[:wanted], cores[wanted:] or cores)
    finally:
        os.sched_setaffinity(0, allowed)
