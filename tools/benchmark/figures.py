"""The arithmetic of measurements: rates, percentiles, ratios with intervals, arrivals at random.

Owns no clock and measures nothing. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from daemon.records import Doubles

_RESAMPLES = 2000
_INTERVAL = (0.025, 0.975)
"""95 %."""


class Done(NamedTuple):
    """One verification that ended.

    Attributes:
        client: who asked, from 0.
        pair: which photos, from 0.
        due_s: when it was to begin; latency counts from here, so that waiting for a free client is latency too.
        ended_s: when the answer was there.
        status: HTTP status; 0 where the connection was lost.
        parts_ms: milliseconds by step, as the device says.
    """

    client: int
    pair: int
    due_s: float
    ended_s: float
    status: int = 200
    parts_ms: Mapping[str, float] = {}

    @property
    def latency_ms(self) -> float:
        """Milliseconds from when it was due to its answer."""
        return (self.ended_s - self.due_s) * 1000


class Round(NamedTuple):
    """One stretch of measuring one contender.

    Attributes:
        began_s: when all clients began.
        done: what ended, in any order.
        cpu_s: processor time that the contender took, without who asked.
        load_cpu_s: processor time of who asked.
    """

    began_s: float
    done: Sequence[Done]
    cpu_s: float = 0.0
    load_cpu_s: float = 0.0

    @property
    def answered(self) -> list[Done]:
        """What was compared."""
        return [one for one in self.done if one.status == 200]

    @property
    def latencies_ms(self) -> Doubles:
        """Milliseconds of what was compared, float64 (n,)."""
        return np.array([one.latency_ms for one in self.answered], np.float64)

    @property
    def length_s(self) -> float:
        """Seconds until the last one ended."""
        return max((one.ended_s for one in self.done), default=self.began_s) - self.began_s

    @property
    def refused(self) -> list[Done]:
        """What was told to come later."""
        return [one for one in self.done if one.status == 503]

    @property
    def throughput(self) -> float:
        """Verifications per second that were compared, from the beginning to the last answer of any kind."""
        return len(self.answered) / self.length_s if self.done else 0.0

    @property
    def rate(self) -> float:
        """Verifications per second that were compared, while all clients were at it.

        Counted from when the last client had its first answer to when the first one had its last: before, the queue
        fills, and afterwards it is no longer full. One client, or clients with one answer each, count in all the time.
        """
        ends: dict[int, list[float]] = {}
        for one in self.answered:
            ends.setdefault(one.client, []).append(one.ended_s)
        start_s = max((min(times) for times in ends.values()), default=0.0)
        stop_s = min((max(times) for times in ends.values()), default=0.0)
        if len(ends) == 1 or stop_s <= start_s:
            return self.throughput
        return sum(start_s < one.ended_s <= stop_s for one in self.answered) / (stop_s - start_s)


def pooled_ms(rounds: Sequence[Round]) -> Doubles:
    """Latencies of several rounds together."""
    return np.concatenate([one.latencies_ms for one in rounds])


def mean_rate(rounds: Sequence[Round]) -> float:
    """Verifications per second over several rounds, each counted alike."""
    return float(np.mean([one.rate for one in rounds]))


def cpu_ms(rounds: Sequence[Round]) -> float:
    """Milliseconds of processor time for one verification."""
    return 1000 * sum(one.cpu_s for one in rounds) / max(1, sum(len(one.answered) for one in rounds))


def load_cpu_ms(rounds: Sequence[Round]) -> float:
    """Milliseconds of processor time of who asks, for one verification."""
    return 1000 * sum(one.load_cpu_s for one in rounds) / max(1, sum(len(one.answered) for one in rounds))


def percentile(values: Doubles, share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed; NaN of none.

    Nearest rank, not interpolated: it is a latency that somebody had. Source: ISO 3534-1, quantile of a sample.
    """
    if not values.size:
        return float("nan")
    return float(np.quantile(values, share, method="inverted_cdf"))


def median_ms(rounds: Sequence[Round]) -> float:
    """Median latency over several rounds."""
    return percentile(pooled_ms(rounds), 0.5)


class Ratio(NamedTuple):
    """One quantity over another of the same run, with its 95 % interval."""

    value: float
    low: float
    high: float


Rounds = Sequence[Round]


def ratio(quantity: Callable[[Rounds], float], ours: Rounds, theirs: Rounds, draw: np.random.Generator) -> Ratio:
    """A quantity of one contender over that of another, with an interval by bootstrap over rounds.

    Round n of both was measured one after the other, so both are drawn together: what slowed the machine for a while
    slowed both. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        quantity: of some rounds of one contender.
        ours: rounds of the one.
        theirs: as many of the other.
        draw: draws the rounds.
    """
    places = draw.integers(0, len(ours), (_RESAMPLES, len(ours)))
    drawn = [quantity([ours[place] for place in row]) / quantity([theirs[place] for place in row]) for row in places]
    low, high = np.quantile(drawn, _INTERVAL)
    return Ratio(quantity(ours) / quantity(theirs), float(low), float(high))


def arrivals_s(rate: float, seconds: float, draw: np.random.Generator) -> Doubles:
    """When requests come that know nothing of each other: a Poisson process.

    Args:
        rate: mean number per second, above 0.
        seconds: how long they come.
        draw: draws them.

    Returns:
        Seconds from the beginning, increasing, below `seconds`, float64 (n,).
    """
    # Given their number, arrivals are spread evenly. Source: Ross, "Introduction to Probability Models", theorem 5.2.
    return np.sort(draw.uniform(0, seconds, draw.poisson(rate * seconds)))


def queued_ms(due_s: Sequence[float], work_s: float) -> Doubles:
    """Latencies where nothing but the queue takes time: work of one length each, in the order in which it came.

    Who has so much work for each request cannot answer them all earlier, however it is scheduled or spread over cores.
    Source: D. V. Lindley, "The theory of queues with a single server", 1952.

    Args:
        due_s: when requests came, seconds, increasing.
        work_s: seconds of the whole device for each.

    Returns:
        Milliseconds, float64 (n,).
    """
    free_s, latencies_ms = -math.inf, []
    for came_s in due_s:
        free_s = max(came_s, free_s) + work_s
        latencies_ms.append((free_s - came_s) * 1000)
    return np.array(latencies_ms, np.float64)


def part_medians_ms(rounds: Sequence[Round]) -> dict[str, float]:
    """Median milliseconds of each step over several rounds, in the order in which they come."""
    parts = [one.parts_ms for stretch in rounds for one in stretch.answered]
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: float(np.median([part[name] for part in parts if name in part])) for name in names}
