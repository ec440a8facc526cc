"""The whole run: all contenders in turns, on the same photos and cores, then the daemon under loads of its own.

One after the other means in rounds of seconds: what slows the machine for a while slows everybody. The first round of
each is warm-up and does not count. Ratios are of the same run, with intervals over rounds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from daemon.config import Inference
from daemon.errors import EngineRefused
from daemon.manifest import load_manifest
from tools.benchmark import load, opencv, ours
from tools.benchmark.figures import Round, arrivals_s, mean_rate
from tools.benchmark.photos import Pair
from tools.benchmark.processes import Memory, tree_cpu_s, tree_memory
from tools.benchmark.site import BenchSite, Cores, sealed_pairs, start_times_s, started
from tools.benchmark.subject import Order, Subject, in_turns, subject
from tools.console import progress, say
from tools.engines import source_network

HTTP_ONE, HTTP_MANY = "daemon, one client", "daemon, saturated"
PIPELINE_ONE, PIPELINE_MANY = "pipeline in process, one at a time", "pipeline in process, saturated"
ENGINES_ONE, ENGINES_MANY = "bare engines, one at a time", "bare engines, saturated"
OPENCV_FULL = "OpenCV full size"
OPENCV_SMALL = "OpenCV 640 px"

OPENCV_WAYS = ("own threads", "photos at once", "pairs at once")
"""How OpenCV uses the cores: each counts where it is best, the last one for throughput only."""

BELOW, ABOVE = 0.7, 1.5
"""Offered loads below and above saturation, in parts of the saturated rate."""

_SPLIT_KB = 300
_PARTS_TIMES = 4
"""Verifications whose engine time is looked at, for each round."""

_REMEDY = "Look at the daemon's journal: run fvctl verify with two of the photos."


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: of each contender.
        round_s: seconds of each round.
        clients: that saturate the daemon.
        seconds: of the open loop below saturation.
        over_seconds: of the open loop above it.
        curve: further offered loads, in parts of the saturated rate, over_seconds each.
        starts: how often the start is timed.
        cores: where it runs.
    """

    rounds: int
    round_s: float
    clients: int
    seconds: float
    over_seconds: float
    curve: tuple[float, ...]
    starts: int
    cores: Cores


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run found.

    Attributes:
        rounds: by contender.
        opened: by offered load, in parts of the saturated rate.
        parts: verifications of the pair nearest to 300 kB, by step, with what the engines took.
        split_pair: number of that pair.
        ready_s: from start to ready.
        memory: of the daemon, after all loads.
        opencv_memory: of OpenCV's process.
    """

    rounds: Mapping[str, Sequence[Round]]
    opened: Mapping[float, Round]
    parts: Sequence[Mapping[str, float]]
    split_pair: int
    ready_s: Sequence[float]
    memory: Memory
    opencv_memory: Memory


class Contenders:
    """Everything that is measured, running.

    Args:
        daemon: process id of the daemon, and seconds from its start to ready.
        processes: who asks it, the pipeline, OpenCV.
        pairs: how many pairs there are.
    """

    def __init__(self, daemon: tuple[int, float], processes: Sequence[Subject], pairs: int) -> None:
        self.daemon, self.ready_s = daemon
        self.asking, self.pipeline, self.yardstick = processes
        self._pairs = pairs

    def over_http(self, order: load.Closed | load.Open, what: str = "") -> Round:
        """One round of the daemon, with the processor time that it took."""
        began_s = tree_cpu_s(self.daemon)
        seconds = order.arrivals_s[-1] if isinstance(order, load.Open) and order.arrivals_s else 0
        found: Round = self.asking.ask_for_long(order, seconds if what else 0, what)
        return found._replace(cpu_s=tree_cpu_s(self.daemon) - began_s)

    def in_process(self, process: Subject, order: Order) -> Round:
        """One round in a process."""
        found: Round = process.ask(order._replace(pairs=self._pairs))
        return found

    def turns(self, plan: Plan, running: int) -> dict[str, Callable[[], Round]]:
        """One round of each contender, by name.

        Args:
            plan: how much.
            running: verifications that the daemon works on at once.
        """
        return {
            HTTP_ONE: partial(self.over_http, load.Closed(1, plan.round_s)),
            HTTP_MANY: partial(self.over_http, load.Closed(plan.clients, plan.round_s)),
            **self._in_process(plan, running),
        }

    def _in_process(self, plan: Plan, running: int) -> dict[str, Callable[[], Round]]:
        cores, seconds = len(plan.cores.measured), plan.round_s
        work: dict[str, tuple[Subject, Order]] = {
            PIPELINE_ONE: (self.pipeline, Order(ours.PIPELINE, 1, 0, seconds)),
            PIPELINE_MANY: (self.pipeline, Order(ours.PIPELINE, running, 0, seconds)),
            ENGINES_ONE: (self.pipeline, Order(ours.ENGINES, 1, 0, seconds)),
            ENGINES_MANY: (self.pipeline, Order(ours.ENGINES, running, 0, seconds)),
        }
        for name, way, apart in (
            (OPENCV_FULL, opencv.FULL, opencv.FULL_APART),
            (OPENCV_SMALL, opencv.SMALL, opencv.SMALL_APART),
        ):
            orders = (Order(way, 1, 0, seconds, cores), Order(apart, 1, 0, seconds), Order(way, cores, 0, seconds))
            for how, order in zip(OPENCV_WAYS, orders, strict=True):
                work[f"{name}, {how}"] = (self.yardstick, order)
        return {name: partial(self.in_process, process, order) for name, (process, order) in work.items()}


@contextmanager
def contenders(site: BenchSite, pairs: Sequence[Pair], plan: Plan) -> Iterator[Contenders]:
    """A daemon, who asks it, the pipeline and OpenCV, ready, for the length of the block.

    Raises:
        DeviceError: one of them does not start.
    """
    settings = site.config.inference
    with tempfile.TemporaryDirectory(prefix="fvctl-bench-") as folder, started(site) as (daemon, ready_s):
        sealed = sealed_pairs(site, list(pairs))
        with (
            subject(load.serve, site.port, sealed, plan.cores.asking) as asking,
            subject(ours.serve, site.path, sealed) as pipeline,
            subject(opencv.serve, *_published(settings, Path(folder)), list(pairs)) as yardstick,
        ):
            yield Contenders((daemon.pid, ready_s), (asking, pipeline, yardstick), len(pairs))


def _published(settings: Inference, folder: Path) -> list[Path]:
    """Both networks as their makers publish them, in files for OpenCV."""
    found = []
    for name in (settings.detection, settings.recognition):
        path = folder / f"{name}.onnx"
        path.write_bytes(source_network(load_manifest(settings.networks / name), settings.engines.parent / "cache"))
        found.append(path)
    return found


def measure(site: BenchSite, pairs: Sequence[Pair], plan: Plan) -> Measured:
    """Run everything.

    Raises:
        DeviceError: something does not start, or the daemon does not compare the photos.
    """
    ready_s = start_times_s(site, plan.starts - 1)
    split = min(range(len(pairs)), key=lambda place: abs(pairs[place].kilobytes - _SPLIT_KB))
    with contenders(site, pairs, plan) as running:
        rounds = _rounds(running.turns(plan, site.config.admission.running), plan)
        parts = [running.pipeline.ask(split) for _ in range(_PARTS_TIMES * plan.rounds)]
        opened = _opened(running, plan, mean_rate(rounds[HTTP_MANY]))
        memory, opencv_memory = tree_memory(running.daemon), tree_memory(running.yardstick.pid)
    return Measured(rounds, opened, parts, split, [*ready_s, running.ready_s], memory, opencv_memory)


def _rounds(turns: Mapping[str, Callable[[], Round]], plan: Plan) -> dict[str, list[Round]]:
    names, kept = list(turns), dict[str, list[Round]]()
    every = in_turns(plan.rounds + 1, list(turns.values()))
    for place, found in progress(every, (plan.rounds + 1) * len(turns), "measured, of all rounds"):
        if len(found.answered) != len(found.done):
            statuses = sorted({one.status for one in found.done} - {200})
            raise EngineRefused(f"{names[place]}: answered with {statuses}, expected 200 for all", _REMEDY)
        kept.setdefault(names[place], []).append(found)
    return {name: rounds[1:] for name, rounds in kept.items()}  # the first one warmed up


def _opened(running: Contenders, plan: Plan, saturated: float) -> dict[float, Round]:
    draw, found = np.random.default_rng(), {}
    loads = dict.fromkeys((*plan.curve, ABOVE), plan.over_seconds) | {BELOW: plan.seconds}
    for part in sorted(loads):
        order = load.Open(arrivals_s(part * saturated, loads[part], draw).tolist())
        found[part] = running.over_http(order, f"seconds of open loop at {part:.0%} of saturation")
        say(f"open loop at {part:.0%} of saturation: {len(found[part].done)} requests")
    return found
