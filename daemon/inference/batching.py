"""Whose turn it is where several requests want one device.

An accelerator runs a batch in hardly more time than one photo: whoever gets it takes along what queued while it was
busy, and nobody waits while it is idle. A CPU gains nothing by batches, so there runs stand side by side, each on one
core, as many as the device has cores for: more would only need more memory (measured, README.md).

The queue needs no bound and no deadline of its own: the requests that can stand in it are those that were admitted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from daemon.manifest import Manifest
from daemon.records import Floats

Outputs = Mapping[str, Floats]


class Runs(Protocol):
    """A network whose turn comes; fits `daemon.face.network.Network`."""

    def run(self, batch: Floats) -> Outputs:
        """See `daemon.inference.network.OnnxNetwork.run`."""


class Loaded(Runs, Protocol):
    """A network that is where it runs; fits `daemon.inference.network.OnnxNetwork`."""

    manifest: Manifest
    accelerator: Accelerator


class Device:
    """What networks run on, and take turns on: each on its own accelerator, which may differ with `allow_lower`.

    Args:
        lanes: runs side by side on the CPU; whatever runs on a GPU, by CUDA or TensorRT, takes one turn.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = threading.Semaphore(lanes)
        self._turn = threading.Semaphore(1)

    def shared(self, network: Loaded) -> Runs:
        """The network, to be run by any number of threads."""
        if network.accelerator is Accelerator.CPU:
            return SideBySide(network, self._lanes)
        return Merged(network, self._turn, network.manifest.profile.largest[0])


class SideBySide:
    """Runs each batch as it is, once a lane is free."""

    def __init__(self, network: Runs, turn: threading.Semaphore) -> None:
        self._network = network
        self._turn = turn

    def run(self, batch: Floats) -> Outputs:
        """See `Runs.run`."""
        with self._turn:
            return self._network.run(batch)


class _Order:
    """One caller's batch, and what became of it."""

    def __init__(self, batch: Floats) -> None:
        self.batch = batch
        self.outputs: Outputs | None = None
        self.error: EngineRefused | None = None

    @property
    def is_done(self) -> bool:
        """Whether it was run."""
        return self.outputs is not None or self.error is not None


class Merged:
    """Runs what has queued as one batch.

    Args:
        network: the network.
        turn: whoever holds it owns the device.
        largest: photos that one batch can have.
    """

    def __init__(self, network: Runs, turn: threading.Semaphore, largest: int) -> None:
        self._network = network
        self._turn = turn
        self._largest = largest
        self._lock = threading.Lock()
        self._queue: deque[_Order] = deque()

    def run(self, batch: Floats) -> Outputs:
        """See `Runs.run`; a run that fails fails for all whose photos were in it."""
        mine = _Order(batch)
        with self._lock:
            self._queue.append(mine)
        with self._turn:
            while not mine.is_done:  # others may stand before it
                self._run(self._taken())
        if mine.outputs is None:
            raise mine.error or AssertionError
        return mine.outputs

    def _taken(self) -> list[_Order]:
        """The first in the queue, and all that fit into one batch with it."""
        with self._lock:
            first = self._queue.popleft()
            taken, left = [first], self._largest - len(first.batch)
            for other in list(self._queue):
                if other.batch.shape[1:] == first.batch.shape[1:] and len(other.batch) <= left:
                    self._queue.remove(other)
                    taken.append(other)
                    left -= len(other.batch)
        return taken

    def _run(self, orders: list[_Order]) -> None:
        try:
            found = self._network.run(np.concatenate([order.batch for order in orders]))
        except EngineRefused as error:
            for order in orders:
                order.error = error
            return
        end = 0
        for order in orders:
            start, end = end, end + len(order.batch)
            order.outputs = {name: values[start:end] for name, values in found.items()}
