"""Which terminal is calling, and how often it may.

A terminal shows a bearer token; the device keeps a salted hash of it only. Where terminals are not authenticated
(loopback only), all callers are one terminal.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from daemon.config import Authentication, Terminals
from daemon.errors import ConfigurationRefused, RateLimited, UnknownTerminal
from daemon.manifest import Sha256
from daemon.yaml_file import STRICT, read_yaml

ANYONE = "anyone"
"""Name of the one terminal where terminals are not authenticated."""

_MINUTE_S = 60.0
_SCHEME = "bearer "
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Salt = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){16,32}$")]


@dataclass(frozen=True, slots=True, config=STRICT)
class TerminalRecord:
    """One terminal: its name, and SHA-256 of salt and token. A token has 256 random bits, so one round is enough."""

    name: Name
    salt: Salt
    token_sha256: Sha256


@dataclass(frozen=True, slots=True, config=STRICT)
class TerminalFile:
    """The file that `terminals.registry` names."""

    terminals: tuple[TerminalRecord, ...]


def token_hash(salt: str, token: str) -> str:
    """What is kept of a token: 64 lower-case hex digits."""
    return hashlib.sha256(bytes.fromhex(salt) + token.encode()).hexdigest()


class Credentials:
    """Answers who is calling; every token is compared, in constant time, whichever fits.

    Args:
        terminals: those that are known; None where terminals are not authenticated.
    """

    def __init__(self, terminals: tuple[TerminalRecord, ...] | None) -> None:
        self._terminals = terminals

    def terminal(self, authorization: str | None) -> str:
        """Name of the calling terminal.

        Args:
            authorization: the Authorization header, or None where there was none.

        Raises:
            UnknownTerminal: terminals are authenticated and this one is not known.
        """
        if self._terminals is None:
            return ANYONE
        shown = authorization or ""
        token = shown[len(_SCHEME) :] if shown.lower().startswith(_SCHEME) else ""
        known = [
            record.name
            for record in self._terminals
            if hmac.compare_digest(token_hash(record.salt, token), record.token_sha256)
        ]
        if not token or not known:
            raise UnknownTerminal("no credential that this device knows")
        return known[0]


def load_credentials(settings: Terminals) -> Credentials:
    """The terminals of the configuration.

    Raises:
        ConfigurationRefused: no token file is named, or it is missing or has faults.
    """
    if settings.authentication is Authentication.NONE:
        return Credentials(None)
    if settings.registry is None:  # never fall back to letting everybody in
        raise ConfigurationRefused("no token file is configured", "Name one in terminals.registry.")
    return Credentials(read_yaml(settings.registry, TerminalFile, secret=True).terminals)


class RateLimit:
    """A token bucket per terminal. Source: RFC 2697's idea, with one rate."""

    def __init__(self, settings: Terminals, clock: Callable[[], float]) -> None:
        self._rate_per_s = settings.requests_per_minute / _MINUTE_S
        self._burst = float(settings.burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, terminal: str) -> None:
        """Count one request of a terminal.

        Raises:
            RateLimited: it has used up what it may; says when to come back.
        """
        now = self._clock()
        with self._lock:
            left, then = self._buckets.get(terminal, (self._burst, now))
            left = min(self._burst, left + (now - then) * self._rate_per_s)
            allowed = left >= 1
            self._buckets[terminal] = (left - 1 if allowed else left, now)
        if not allowed:
            raise RateLimited("rate limit exceeded", max(1, math.ceil((1 - left) / self._rate_per_s)))
