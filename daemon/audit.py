"""What the device tells about itself: one JSON line per event, metrics, and how long each step took.

A log line has a fixed set of fields and drops anything else, so that no photo, key or credential can get into one by
accident. The one owner of prometheus_client.
"""

from __future__ import annotations

import io
import json
import select
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ParamSpec, TextIO, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from daemon.errors import DeviceError
from daemon.records import Step

P = ParamSpec("P")
T = TypeVar("T")

LOG_FIELDS = (
    "time_utc",
    "level",
    "event",
    "request_id",
    "terminal",
    "route",
    "status",
    "code",
    "field",
    "reason",
    "remedy",
    "duration_ms",
    "steps_ms",
    "error",
    "frames",
)
"""All that a log line can hold, in this order."""

_LEVELS = {"fault": "error", "start_refused": "error", "hung": "error", "warning": "warning", "tls_failed": "warning"}
"""Level of an event, by the words that Loki and Grafana look for; what is not here is of level info."""

_STUCK_MS = 500
"""A reader that takes nothing for so long is stuck: journald takes a line in less than a millisecond."""

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper edges of the histograms, inclusive: from a step of a millisecond to the shipped admission.deadline_s."""


class Stopwatch:
    """Milliseconds per step of one request; both photos may write at the same time.

    A step that both photos take counts as long as the slower one took; what one photo takes twice is added up. The
    photos are told apart by the threads they are worked on in.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock()
        self._steps_ms: dict[tuple[Step, int], float] = {}

    def run(self, step: Step, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives; how long it took is kept, unless it raised."""
        began = self._clock()
        done = work(*args, **kwargs)
        took_ms = (self._clock() - began) * 1000
        with self._lock:
            place = (step, threading.get_ident())
            self._steps_ms[place] = took_ms + self._steps_ms.get(place, 0.0)
        return done

    def each(self, step: Step, work: Callable[P, T]) -> Callable[P, T]:
        """The work, to be done any number of times; each counts as `run` does."""
        return lambda *args, **kwargs: self.run(step, work, *args, **kwargs)

    @property
    def total_ms(self) -> float:
        """Milliseconds since the watch was made."""
        return (self._clock() - self._started) * 1000

    @property
    def steps_ms(self) -> dict[Step, float]:
        """Milliseconds of the steps that ended, in the pipeline's order."""
        with self._lock:
            taken = dict(self._steps_ms)
        slower_last = sorted((took_ms, step) for (step, _), took_ms in taken.items())
        slowest = {step: took_ms for took_ms, step in slower_last}
        return {step: slowest[step] for step in Step if step in slowest}


class Journal:
    """Writes events as JSON lines, one per line, to a stream the service manager keeps.

    The device serves whether or not anybody keeps its lines: one that finds the disk full, the reader gone or the
    reader stuck is lost, counted, and holds up no answer for longer than a moment.

    Attributes:
        lost: how many lines could not be written.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._stuck = False
        self._begin = ""
        self.lost = 0

    def write(self, event: str, **fields: object) -> None:
        """One line; fields that are not in LOG_FIELDS are dropped."""
        known: dict[str, Any] = {"time_utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds")}
        known |= {"level": _LEVELS.get(event, "info"), "event": event} | fields
        line = json.dumps({name: known[name] for name in LOG_FIELDS if known.get(name) is not None}, default=str)
        with self._lock:
            try:
                self._wait_for_reader()
                self._stream.write(f"{self._begin}{line}\n")
                self._stream.flush()
                self._begin = ""
            except OSError:
                self.lost += 1
                self._begin = "\n"  # it may have been cut off: the next one stands by itself

    def _wait_for_reader(self) -> None:
        """Only a pipe or a socket can make a writer wait; a reader that was stuck is not waited for again.

        Raises:
            BlockingIOError: the reader takes nothing.
        """
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # kept in memory
            return
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        self._stuck = not poller.poll(0 if self._stuck else _STUCK_MS)
        if self._stuck:
            raise BlockingIOError

    def start_refused(self, error: DeviceError) -> None:
        """The daemon does not start: why, and what the technician should do."""
        self.write("start_refused", error=type(error).__name__, reason=str(error.args[0]), remedy=error.remedy)

    def fault(self, error: BaseException, request_id: str) -> None:
        """A fault of the device: the error's class, where it happened, and what to do where we know it.

        The text of an error that is not ours may quote what was sent, so it is left out.
        """
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        known = {"reason": str(error.args[0]), "remedy": error.remedy} if isinstance(error, DeviceError) else {}
        self.write("fault", request_id=request_id, error=type(error).__name__, frames=frames, **known)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is measured at the moment that somebody asks.

    Attributes:
        name: by Prometheus' conventions, without `faceverifyd_`: base unit last, counters end in `_total`.
        text: what it is, for people.
        samples: the labels' values, and the value; a name without samples is still told.
        labels: names of the labels.
    """

    name: str
    text: str
    samples: Iterable[tuple[tuple[str, ...], float]]
    labels: tuple[str, ...] = ()


class _Readings(Collector):
    """Gauges and counters that are read when they are asked for."""

    def __init__(self, current: Callable[[], Iterable[Reading]]) -> None:
        self._current = current

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector."""
        for reading in self._current():
            kind = CounterMetricFamily if reading.name.endswith("_total") else GaugeMetricFamily
            family = kind(f"faceverifyd_{reading.name}", reading.text, labels=reading.labels)
            for values, value in reading.samples:
                family.add_metric(values, value)
            yield family


class Metrics:
    """Counters and histograms for Prometheus, in a registry of their own; with those of this process.

    Args:
        readings: gives what is as it is now.
    """

    def __init__(self, readings: Callable[[], Iterable[Reading]] = tuple) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # more series, which the text format does not know
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "faceverifyd_answers_total",
            "Answers by route, contract code and HTTP status.",
            ["route", "code", "status"],
            registry=self._registry,
        )
        self._duration = self._histogram(
            "request_duration_seconds", "Time from the end of the request's headers to its answer.", "route"
        )
        self._steps = self._histogram(
            "step_duration_seconds", "Time of each pipeline step, the slower of both photos.", "step"
        )
        self._waits = self._histogram("queue_wait_seconds", "Time that an admitted request waited for its turn.")
        for step in Step:  # known from the start: a series that comes later has no increase to be seen
            self._steps.labels(step.value)
        ProcessCollector(registry=self._registry)
        self._registry.register(_Readings(readings))

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"faceverifyd_{name}", text, labels, registry=self._registry, buckets=_BUCKETS_S)

    def expect(self, route: str, code: int, status: int) -> None:
        """An answer that can be given: it counts from 0, so that the first one is seen to be one more."""
        self._answers.labels(route, str(code), str(status))

    def refused(self, route: str, code: int, status: int) -> None:
        """One answer to what could not be read as a request: there is nothing to time."""
        self._answers.labels(route, str(code), str(status)).inc()

    def count(self, route: str, code: int, status: int, watch: Stopwatch) -> None:
        """One answer given."""
        self._answers.labels(route, str(code), str(status)).inc()
        self._duration.labels(route).observe(watch.total_ms / 1000)
        for step, took_ms in watch.steps_ms.items():
            self._steps.labels(step.value).observe(took_ms / 1000)

    def waited(self, waited_s: float) -> None:
        """One request admitted, after so many seconds in the queue."""
        self._waits.observe(waited_s)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, UTF-8."""
        return generate_latest(self._registry)
