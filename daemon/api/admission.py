"""How much is worked on at once, how much may wait, and for how long; beyond that, the sender is told to try later."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemon.config import Admission
from daemon.errors import TryLater


class BodyBudget:
    """Lets bodies into memory as long as there is room for them.

    Each waiting request has its body in memory before it comes to the turnstile.

    Args:
        limit_bytes: of all bodies together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left_bytes = limit_bytes
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, body_bytes: int) -> Iterator[None]:
        """Room for one body, held for the block; before a byte of it is read.

        Raises:
            TryLater: there is not so much room left.
        """
        with self._lock:
            if body_bytes > self._left_bytes:
                raise TryLater("no memory left for another body", 1)
            self._left_bytes -= body_bytes
        try:
            yield
        finally:
            with self._lock:
                self._left_bytes += body_bytes


class Turnstile:
    """Admits as many requests as the device works on at once; the others wait in a bounded queue.

    gunicorn's own queue has no bound, which is why this one exists.

    Args:
        settings: how many, and for how long.
        clock: monotonic seconds.
        waited: is told of each request that is admitted how many seconds it waited.
    """

    def __init__(
        self, settings: Admission, clock: Callable[[], float], waited: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._waited = waited
        self._running = 0
        self._free = threading.Semaphore(settings.running)
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._usual_s = 0.1  # a guess, until the first requests have been measured

    def close(self) -> None:
        """Admit nobody any more; those who are in, or wait already, are not touched."""
        self._closed = True

    def look_in(self) -> None:
        """Nothing where there may be a place, which is not taken: a body that is on its way must not hold one.

        Raises:
            TryLater: the device stops, the queue is full, or by the forecast the deadline would pass in it.
        """
        if self._closed:
            raise TryLater("stopping", self._retry_after_s())
        with self._lock:
            if self._waiting:  # where somebody waits, no place is free
                self._refuse_if_in_vain()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """A place among those worked on, held for the block.

        Raises:
            TryLater: the device stops, the queue is full, or the deadline passed in it, or would by the forecast.
        """
        if self._closed:
            raise TryLater("stopping", self._retry_after_s())
        asked = self._clock()
        if not self._free.acquire(blocking=False):
            self._wait()
        began = self._clock()
        self._count_running(1)
        try:
            self._waited(began - asked)
            yield
        finally:
            self._count_running(-1)
            self._free.release()
            # An exponential mean: a single slow request moves the forecast by a tenth.
            self._usual_s += (self._clock() - began - self._usual_s) / 10

    @property
    def closed(self) -> bool:
        """Whether nobody is admitted any more."""
        return self._closed

    @property
    def running(self) -> int:
        """Requests that are worked on."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._waiting

    def _count_running(self, more: int) -> None:
        with self._lock:
            self._running += more

    def _wait(self) -> None:
        with self._lock:
            self._refuse_if_in_vain()
            self._waiting += 1
        try:
            admitted = self._free.acquire(timeout=self.settings.deadline_s)
        finally:
            with self._lock:
                self._waiting -= 1
        if not admitted:
            raise TryLater("deadline passed in the queue", self._retry_after_s())

    def _refuse_if_in_vain(self) -> None:
        if self._waiting >= self.settings.waiting:
            raise TryLater("queue full", self._retry_after_s())
        if self._forecast_s() > self.settings.deadline_s:
            raise TryLater("deadline would pass in the queue", self._retry_after_s())

    def _retry_after_s(self) -> int:
        """Whole seconds until the queue as it is now is worked off."""
        return max(1, math.ceil(self._forecast_s()))

    def _forecast_s(self) -> float:
        return self._waiting * self._usual_s / self.settings.running
