"""The pipeline in process, as the daemon makes it, and the bare engines doing the same work.

What the engines are asked is what the pipeline asked them: each batch is kept once per pair and run again, the
batches of one photo one after the other, both photos at the same time, as the pipeline does.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from daemon.api.intake import FIRST_PHOTO, SECOND_PHOTO
from daemon.app import load_networks, make_opener, make_stages, watched_ring
from daemon.audit import Stopwatch
from daemon.config import Config, load_config
from daemon.face.network import Network
from daemon.pipeline import Pipeline
from daemon.pool import started_pool
from daemon.records import Floats, SealedPhoto, Sender, VerificationRequest
from tools.benchmark.figures import Round
from tools.benchmark.load import Sealed
from tools.benchmark.subject import Order, Work, obey, run_round

PIPELINE, ENGINES = "pipeline", "engines"
"""Works of this process."""

ENGINE_PART = "engine in "
"""Before a step's name: of its time, what the engine took."""

_SENDER = Sender("bench", legacy=False)


class Run(NamedTuple):
    """One batch that a network was asked for, by which thread, and how long it took."""

    thread: int
    batch: Floats
    took_ms: float


class Overheard:
    """A network that keeps what it is asked; everything else is the network's own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._runs: list[Run] = []

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """See `Network`."""
        began_s = time.perf_counter()
        outputs = self._network.run(batch)
        self._runs.append(Run(threading.get_ident(), batch, (time.perf_counter() - began_s) * 1000))
        return outputs

    def taken(self) -> list[Run]:
        """What it was asked since this was last called."""
        runs, self._runs = self._runs, []
        return runs

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the network has
        return getattr(self._network, name)


class Ours:
    """Both works over given pairs.

    Args:
        config: of the site; its keys open the photos.
        sealed: what is compared.
    """

    def __init__(self, config: Config, sealed: Sequence[Sealed]) -> None:
        self._networks = load_networks(config.inference)
        opener = make_opener(config, watched_ring(config), None)
        threads = config.admission.running
        self._pipeline = Pipeline(make_stages(config, self._networks, opener), started_pool(threads, "photo-two"))
        self._overheard = [Overheard(network) for network in (self._networks.detection, self._networks.recognition)]
        as_loaded: list[Any] = self._overheard
        overheard = dataclasses.replace(self._networks, detection=as_loaded[0], recognition=as_loaded[1])
        # One pool thread, one request at a time: what is overheard of two would be in one list.
        self._watched = Pipeline(make_stages(config, overheard, opener), started_pool(1, "watched"))
        self._requests = [_request(pair) for pair in sealed]
        self._second = ThreadPoolExecutor(threads)
        self._recorded = [self._record(request) for request in self._requests]

    def works(self) -> dict[str, Work]:
        """Each by name."""
        return {PIPELINE: self._verify, ENGINES: self._replay}

    def _verify(self, _client: int, pair: int) -> Mapping[str, float]:
        watch = Stopwatch()
        self._pipeline.verify(self._requests[pair], watch)
        return {step.value: took_ms for step, took_ms in watch.steps_ms.items()}

    def engine_parts(self, pair: int) -> dict[str, float]:
        """One verification: milliseconds by step, and of those with an engine what the engine took.

        As in the steps themselves, of both photos the slower one counts.
        """
        watch = Stopwatch()
        self._watched.verify(self._requests[pair], watch)
        parts = {step.value: took_ms for step, took_ms in watch.steps_ms.items()}
        for name, overheard in zip(("detect", "embed"), self._overheard, strict=True):
            by_thread: dict[int, float] = {}
            for run in overheard.taken():
                by_thread[run.thread] = by_thread.get(run.thread, 0.0) + run.took_ms
            parts[ENGINE_PART + name] = max(by_thread.values())
        return parts

    def _record(self, request: VerificationRequest) -> list[tuple[list[Floats], ...]]:
        """By photo the batches of its detection, and those of its recognition."""
        self._watched.verify(request, Stopwatch())
        both = [overheard.taken() for overheard in self._overheard]
        threads = dict.fromkeys(run.thread for run in both[0])
        return [tuple([run.batch for run in runs if run.thread == thread] for runs in both) for thread in threads]

    def _replay(self, _client: int, pair: int) -> Mapping[str, float]:
        first, *others = self._recorded[pair]
        ahead = [self._second.submit(self._run, *photo) for photo in others]
        self._run(*first)
        for photo in ahead:
            photo.result()
        return {}

    def _run(self, looks: Sequence[Floats], crops: Sequence[Floats]) -> None:
        for batch in looks:
            self._networks.detection.run(batch)
        for batch in crops:
            self._networks.recognition.run(batch)


def _request(pair: Sealed) -> VerificationRequest:
    photos = (SealedPhoto(FIRST_PHOTO, pair[0]), SealedPhoto(SECOND_PHOTO, pair[1]))
    return VerificationRequest(_SENDER, photos, auto_rotate=False, check_quality=False)


def serve(connection: Connection, config: Path, sealed: Sequence[Sealed]) -> None:
    """The process that measures the pipeline: answers an order with a round, a pair's number with its parts."""

    def make() -> Callable[[Order | int], Round | dict[str, float]]:
        """The pipeline, with its engines loaded and every batch recorded."""
        cv2.setNumThreads(1)  # as the daemon does
        ours = Ours(load_config(config), sealed)
        works = ours.works()

        def answer(order: Order | int) -> Round | dict[str, float]:
            """One round, or one pair's parts."""
            return ours.engine_parts(order) if isinstance(order, int) else run_round(works[order.work], order)

        return answer

    obey(connection, make)
