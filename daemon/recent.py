"""What was answered in the last hour, by the minute: for a technician who stands before the device.

Owns a fixed amount of memory, whatever is asked; nothing of a request but its code and how long it took is kept.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MINUTES = 60

_STEP = 1.05
"""Durations are kept to within 5 %: 240 steps from 0.1 ms to the longest that a request can take."""


@dataclass(slots=True)
class Minute:
    """One minute.

    Attributes:
        number: minutes of the clock.
        codes: answers by contract code.
        waiting_max: the longest queue that an answer left behind.
    """

    number: int
    codes: Counter[int] = field(default_factory=Counter)
    waiting_max: int = 0
    _durations: Counter[int] = field(default_factory=Counter)

    def add(self, code: int, duration_ms: float, waiting: int) -> None:
        """One answer."""
        self.codes[code] += 1
        self.waiting_max = max(self.waiting_max, waiting)
        self._durations[math.ceil(math.log(max(duration_ms, 0.1), _STEP))] += 1

    def copied(self) -> Minute:
        """As it is now, for who looks at it while answers go on being added."""
        return Minute(self.number, self.codes.copy(), self.waiting_max, self._durations.copy())

    def percentile_ms(self, percent: float) -> float | None:
        """Milliseconds that so many percent of the answers took at most, to within 5 %; None without answers."""
        return percentile_ms([self], percent)


def percentile_ms(minutes: Iterable[Minute], percent: float) -> float | None:
    """Milliseconds that so many percent of the minutes' answers took at most, to within 5 %; None without answers."""
    durations: Counter[int] = Counter()
    for minute in minutes:
        durations.update(minute._durations)
    wanted = math.ceil(durations.total() * percent / 100)
    for step in sorted(durations):
        wanted -= durations[step]
        if wanted <= 0:
            return float(_STEP**step)
    return None


class Recent:
    """The last hour.

    Args:
        clock: monotonic seconds.
        waiting: how many requests are in the queue.
    """

    def __init__(self, clock: Callable[[], float], waiting: Callable[[], int]) -> None:
        self._clock = clock
        self._waiting = waiting
        self._lock = threading.Lock()
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)

    def add(self, code: int, duration_ms: float) -> None:
        """One answer given just now."""
        waiting, now = self._waiting(), self._number()
        with self._lock:
            if not self._minutes or self._minutes[-1].number != now:
                self._minutes.append(Minute(now))
            self._minutes[-1].add(code, duration_ms, waiting)

    def minutes(self) -> list[Minute]:
        """The last 60 minutes, the oldest first and the one that runs last; those without answers are empty."""
        now = self._number()
        with self._lock:
            known = {minute.number: minute.copied() for minute in self._minutes}
        return [known.get(number, Minute(number)) for number in range(now - MINUTES + 1, now + 1)]

    def _number(self) -> int:
        return int(self._clock() // 60)
