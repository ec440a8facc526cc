"""What the device measures of itself when `/metrics` is asked: names, labels and values, in one table.

Names and units follow Prometheus' conventions ("Metric and label naming").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone

from daemon.api.about import About
from daemon.api.admission import Turnstile
from daemon.api.condition import DEVICE, Condition, Ending
from daemon.audit import Reading
from daemon.machine import service_memory_bytes, temperatures_c

_ENGINE = ("network", "accelerator", "engine", "model")


@dataclass(frozen=True, slots=True)
class Lost:
    """How much was lost since the start.

    Attributes:
        journal_lines: gives lines that nobody took.
        decoders: gives processes that ended over a photo.
    """

    journal_lines: Callable[[], int]
    decoders: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is read, and not counted, for Prometheus."""

    about: About
    condition: Condition
    turnstile: Turnstile
    lost: Lost

    def readings(self) -> Iterator[Reading]:
        """All of it, as it is now."""
        yield from self._made_of()
        yield from self._state()
        yield from self._queue()
        yield from self._machine()
        yield from self._endings()

    def _made_of(self) -> Iterator[Reading]:
        about = self.about
        versions = (about.release, about.python, about.onnxruntime)
        yield Reading(
            "build_info", "1 for the release that runs.", [(versions, 1.0)], ("version", "python", "onnxruntime")
        )
        engines = {(row.network, row.accelerator, row.engine, row.model): 1.0 for row in about.engines}
        yield Reading("engine_info", "1 for each engine, and what it really runs on.", engines.items(), _ENGINE)
        runs = {(row.network, row.accelerator, about.asked): 1.0 for row in about.engines}
        text = "1 for each network: what it runs on, and what the configuration asks for."
        yield Reading("accelerator_info", text, runs.items(), ("network", "accelerator", "asked"))
        calibration = {(about.calibration, about.calibrated_utc): 1.0}
        yield Reading(
            "calibration_info", "1 for the calibration in use.", calibration.items(), ("calibration", "made_utc")
        )

    def _state(self) -> Iterator[Reading]:
        reasons = self.condition.reasons()
        yield Reading("ready", "1 where the device serves.", _alone(float(not reasons)))
        why = {(reason,): 1.0 for reason in reasons}
        yield Reading("not_ready", "1 for each reason why the device does not serve.", why.items(), ("reason",))
        weak = {(warning,): 1.0 for warning in self.condition.warnings()}
        yield Reading("warning", "1 for each weakness that is in use.", weak.items(), ("warning",))
        lines, decoders = self.lost.journal_lines(), self.lost.decoders()
        yield Reading("journal_lines_lost_total", "Lines of the journal that nobody took.", _alone(lines))
        yield Reading("decoder_processes_lost_total", "Decoding processes that ended over a photo.", _alone(decoders))

    def _queue(self) -> Iterator[Reading]:
        queue, limits = self.turnstile, self.turnstile.settings
        yield Reading("requests_running", "Requests that are worked on.", _alone(queue.running))
        yield Reading("requests_running_limit", "Requests that are worked on at most.", _alone(limits.running))
        yield Reading("requests_waiting", "Requests in the queue.", _alone(queue.waiting))
        yield Reading(
            "requests_waiting_limit", "Requests in the queue at most; more are refused.", _alone(limits.waiting)
        )

    def _machine(self) -> Iterator[Reading]:
        zones = {(zone,): degrees for zone, degrees in temperatures_c().items()}
        yield Reading("temperature_celsius", "Temperature by the zone's name in the kernel.", zones.items(), ("zone",))
        taken = service_memory_bytes()
        memory = [] if taken is None else _alone(taken)
        yield Reading("service_memory_bytes", "Memory of the service with its decoding processes.", memory)

    def _endings(self) -> Iterator[Reading]:
        known = [(ending, _end(ending.ends)) for ending in self.condition.endings() if ending.ends is not None]
        keys = {(ending.name,): end for ending, end in known if ending.what == "key"}
        yield Reading("key_expiry_timestamp_seconds", "When a key opens no more.", keys.items(), ("key",))
        # What ends first comes first: terminals are not named one by one, a fleet's Prometheus need not know them.
        ends: dict[tuple[str, ...], float] = {}
        for ending, end in known:
            if ending.what == "certificate":
                ends.setdefault((_holder(ending),), end)
        text = "When the device's certificate ends, and the first of the terminals'."
        yield Reading("certificate_expiry_timestamp_seconds", text, ends.items(), ("holder",))


def _alone(value: float) -> list[tuple[tuple[str, ...], float]]:
    """The one sample of what has no labels."""
    return [((), value)]


def _holder(ending: Ending) -> str:
    return "device" if ending.name == DEVICE else "terminals"


def _end(last_day: date) -> float:
    """Unix seconds at which a last day begins: whoever goes by it acts a day early, never late."""
    return datetime(last_day.year, last_day.month, last_day.day, tzinfo=timezone.utc).timestamp()
