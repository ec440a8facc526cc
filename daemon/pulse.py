"""Whether the device makes progress: what the watchdog is fed with.

A request that is worked on for too long is a hang. Where nothing was asked for a while, the device asks itself: a
hidden hang of an idle device is found before a terminal finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from daemon.config import Health


class Pulse:
    """Watches the requests that are worked on, and tests the device while it is idle.

    Args:
        settings: what is too long.
        self_test: whether the device still computes what it should; may take a while, or hang.
        clock: monotonic seconds.
    """

    def __init__(self, settings: Health, self_test: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._self_test = self_test
        self._clock = clock
        self._lock = threading.Lock()
        self._began_s: dict[object, float] = {}
        self._proven_s = clock()
        self._test_began_s: float | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """The block is work that must end in time; where it ends by itself, the device has proven itself."""
        work = object()
        with self._lock:
            self._began_s[work] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._began_s[work]
                self._proven_s = self._clock()

    def beats(self) -> bool:
        """Whether the device makes progress; never waits. Starts a self-test where it is time for one."""
        with self._lock:
            now = self._clock()
            oldest = min(self._began_s.values(), default=now)
            if now - oldest > self._settings.stuck_s:
                return False
            if self._test_began_s is not None:
                return now - self._test_began_s <= self._settings.stuck_s
            if self._began_s or now - self._proven_s < self._settings.idle_test_s:
                return True
            self._test_began_s = now
        with suppress(RuntimeError):  # no thread to be had: a test that never ends, in effect
            threading.Thread(target=self._test, name="self-test", daemon=True).start()
        return True

    def _test(self) -> None:
        """A test that fails or hangs is never taken off again: beats() goes false once it has lasted too long."""
        if self._self_test():
            with self._lock:
                self._proven_s = self._clock()
                self._test_began_s = None
