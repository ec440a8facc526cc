"""What the end-to-end tests share: a way to ask, small photos, and daemons with another configuration."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from daemon.config import Config
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site
from tests.end_to_end.contract import FIRST, SECOND
from tests.end_to_end.photos import masked, plain, scaled
from tests.running_daemon import Answer, RunningDaemon

_SMALL_PX = 128
"""Width of the small photos: a face of about 60 px, compared in a fraction of a large one's time."""

Ask = Callable[..., Answer]
"""(photo one, photo two, **more parameters) to the answer; the photos are sealed on the way."""

Start = Callable[..., RunningDaemon]
"""(name, **changes to the configuration's sections) to a running daemon."""


def soon(true: Callable[[], object], within_s: float = 30.0) -> bool:
    """Whether something becomes true in time."""
    until = time.monotonic() + within_s
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(true())


@pytest.fixture(scope="session")
def small(samples: dict[str, bytes]) -> dict[str, bytes]:
    """The samples, small."""
    return {name: scaled(photo, _SMALL_PX) for name, photo in samples.items()}


@pytest.fixture(scope="session")
def covered(samples: dict[str, bytes], config: Config) -> bytes:
    """A photo of obama with nose and mouth covered."""
    return masked(samples["obama"], config)


@pytest.fixture(scope="session")
def bad_photos() -> dict[int, bytes]:
    """For each code that a photo can get after it was opened, a photo that gets it."""
    return {2003: plain(7, 7), 2004: b"", 2005: b"no photo at all", 4000: plain(64, 64)}


@pytest.fixture(scope="session")
def sealed(legacy: LegacyFormat) -> Callable[[bytes, bytes], dict[str, str]]:
    """Both photos as parameters."""
    return lambda first, second: {FIRST: legacy.seal(first), SECOND: legacy.seal(second)}


@pytest.fixture(scope="session")
def ask(daemon: RunningDaemon, sealed: Callable[[bytes, bytes], dict[str, str]]) -> Ask:
    """Ask the shared daemon to compare two photos."""

    def asked(first: bytes, second: bytes, **more: str) -> Answer:
        return daemon.verify(sealed(first, second) | more)

    return asked


@pytest.fixture(scope="module")
def start(site: Site) -> Iterator[Start]:
    """Start daemons with another configuration; they stop after the module."""
    with ExitStack() as stack:

        def started(
            name: str, ready_path: str = "/readyz", tls: ssl.SSLContext | None = None, **changes: dict[str, Any]
        ) -> RunningDaemon:
            config, log = site.write(f"{name}.yaml", **changes), site.folder / f"{name}.log"
            return stack.enter_context(RunningDaemon(config, log, ready_path=ready_path, tls=tls))

        yield started
