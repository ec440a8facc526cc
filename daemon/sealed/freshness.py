"""Sealed photos that serve once, and soon: when each was sealed, and which were seen.

A photo whose id might have been forgotten is never taken. The ids are in memory: what was sealed before the daemon
started could have been seen by the process before it, and is refused.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable

from daemon.config import Freshness
from daemon.errors import NOT_READY_S, SealedPhotoRefused, TryLater
from daemon.sealed.header import is_photo_id, is_time

CLOCK_SET_BACK = "clock_set_back"
"""Reason id for /readyz: the clock was ahead when the daemon started, or when it forgot photos, and was set right. To
take photos again could be to take one twice; a restart, after which nothing older is taken, is for a technician."""


class FreshPhotos:
    """Remembers the ids of sealed photos for as long as they could be sent again."""

    def __init__(self, settings: Freshness, clock: Callable[[], float]) -> None:
        """Start with no ids.

        Args:
            settings: section `sealed.freshness`.
            clock: Unix seconds now.
        """
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._oldest_first: list[tuple[float, str]] = []
        self._known_since = clock()
        """Of what was sealed before, it is not known whether it was seen."""

    def reasons(self) -> list[str]:
        """Stable ids of why no photo can be fresh: the clock is before what is known since, whatever is sealed now."""
        return [CLOCK_SET_BACK] if self._is_behind(self._clock()) else []

    def take(self, iat: object, jti: object) -> None:
        """Take a photo for the first and only time.

        Args:
            iat: Unix seconds at which it was sealed.
            jti: its id.

        Raises:
            SealedPhotoRefused: either is missing or of a wrong type, it is too old, from the future, or was seen.
            TryLater: the clock was set back, so that none can be fresh; or as many ids as may be are remembered, and
                none can be forgotten yet.
        """
        if not is_time(iat) or not is_photo_id(jti):
            raise SealedPhotoRefused
        with self._lock:
            now = self._clock()
            if self._is_behind(now):
                raise TryLater(CLOCK_SET_BACK, NOT_READY_S)
            self._forget(now)
            if not self._is_in_time(iat, now) or jti in self._seen:
                raise SealedPhotoRefused
            if len(self._seen) >= self._settings.remembered:
                wait_s = self._oldest_first[0][0] - self._oldest_in_time(now)
                raise TryLater("as many sealed photos are remembered as may be", max(1, math.ceil(wait_s)))
            self._seen.add(jti)
            heapq.heappush(self._oldest_first, (iat, jti))

    def _is_behind(self, now: float) -> bool:
        return now + self._settings.clock_skew_s < self._known_since

    def _oldest_in_time(self, now: float) -> float:
        return now - self._settings.max_age_s - self._settings.clock_skew_s

    def _is_in_time(self, iat: float, now: float) -> bool:
        oldest = max(self._oldest_in_time(now), self._known_since)
        return oldest <= iat <= now + self._settings.clock_skew_s

    def _forget(self, now: float) -> None:
        oldest = self._oldest_in_time(now)
        while self._oldest_first and self._oldest_first[0][0] < oldest:
            iat, jti = heapq.heappop(self._oldest_first)
            self._seen.remove(jti)
            # A clock that is set back must not bring back what is forgotten.
            self._known_since = max(self._known_since, math.nextafter(iat, math.inf))
