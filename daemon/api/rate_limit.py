"""How often a terminal may ask."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from daemon.api.registry import Registry
from daemon.config import Terminals
from daemon.errors import RateLimited
from daemon.watched import Watched

_MINUTE_S = 60.0


class RateLimit:
    """A token bucket per terminal. Source: RFC 2697's idea, with one rate.

    Args:
        settings: the rate of whoever has none of its own, and everybody's burst.
        registry: who has one; a terminal that is no longer in it leaves no bucket behind.
        clock: seconds that never go back.
    """

    def __init__(self, settings: Terminals, registry: Watched[Registry] | None, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Registry | None = None
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, terminal: str) -> None:
        """Count one request of a terminal that is known.

        Raises:
            RateLimited: it has used up what it may; says when to come back.
        """
        now, burst = self._clock(), float(self._settings.burst)
        with self._lock:
            rate_per_s = self._requests_per_minute(terminal) / _MINUTE_S
            left, then = self._buckets.get(terminal, (burst, now))
            left = min(burst, left + (now - then) * rate_per_s)
            allowed = left >= 1
            self._buckets[terminal] = (left - 1 if allowed else left, now)
        if not allowed:
            raise RateLimited("rate limit exceeded", max(1, math.ceil((1 - left) / rate_per_s)))

    def _requests_per_minute(self, terminal: str) -> int:
        if self._registry is None:
            return self._settings.requests_per_minute
        registry = self._registry.kept()  # who may not ask was sorted out before
        if registry is not self._known:
            self._known = registry
            self._buckets = {name: left for name, left in self._buckets.items() if name in registry.by_name}
        record = registry.by_name.get(terminal)
        return (record and record.requests_per_minute) or self._settings.requests_per_minute
