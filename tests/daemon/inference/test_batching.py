"""Turns on a device: merged on an accelerator, side by side on a CPU, and each caller gets what it would get alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from daemon.inference.batching import Device, Merged, SideBySide
from daemon.manifest import load_manifest
from daemon.records import Floats
from tests.conftest import REPOSITORY

WAIT_S = 10.0


class Network:
    """Doubles what it is shown, waits inside a run until it is let go, and keeps how many photos each run had."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.inside = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """Twice the batch; a photo of nothing but -1 is a failure of the accelerator."""
        self.runs.append(len(batch))
        self.inside.release()
        assert self.go_on.acquire(timeout=WAIT_S)
        if (batch == -1).any():
            raise EngineRefused("network failed", "Run: fvctl engines build")
        return {"twice": batch * 2}


def _photos(*values: float, side: int = 2) -> Floats:
    return np.stack([np.full((3, side, side), value, np.float32) for value in values])


class Busy:
    """A device in the middle of a run, with callers that queue behind it."""

    def __init__(self, largest: int) -> None:
        self.network = Network()
        self.merged = Merged(self.network, threading.Semaphore(1), largest)
        self.pool = ThreadPoolExecutor(8)
        self.first = self.pool.submit(self.merged.run, _photos(0))
        assert self.network.inside.acquire(timeout=WAIT_S)

    def queue(self, *batches: Floats) -> list[Floats | BaseException]:
        """What each gets, once the run in progress has ended."""
        callers = []
        for place, batch in enumerate(batches):
            callers.append(self.pool.submit(self.merged.run, batch))
            while len(self.merged._queue) <= place:  # one after the other, in this order
                pass
        self.network.go_on.release(1 + len(batches))
        done = [caller.exception(WAIT_S) or caller.result()["twice"] for caller in callers]
        self.pool.shutdown()
        return done


def test_what_queued_while_the_device_was_busy_is_one_batch() -> None:
    busy = Busy(largest=16)
    first, second, third = busy.queue(_photos(1), _photos(2, 3), _photos(4))
    assert busy.network.runs == [1, 4]
    np.testing.assert_array_equal(first, _photos(2))
    np.testing.assert_array_equal(second, _photos(4, 6))
    np.testing.assert_array_equal(third, _photos(8))


def test_no_batch_is_larger_than_the_engine_takes_and_the_order_is_kept() -> None:
    busy = Busy(largest=3)
    busy.queue(_photos(1, 1), _photos(2, 2), _photos(3))
    assert busy.network.runs == [1, 3, 2]  # the third fits beside the first, the second has the next turn


def test_photos_of_other_sizes_are_another_batch() -> None:
    busy = Busy(largest=16)
    _, large, _ = busy.queue(_photos(1), _photos(2, side=4), _photos(3))
    assert busy.network.runs == [1, 2, 1]
    np.testing.assert_array_equal(large, _photos(4, side=4))


def test_a_run_that_fails_fails_for_those_in_it_alone() -> None:
    busy = Busy(largest=2)
    first, second, third = busy.queue(_photos(1), _photos(-1), _photos(3))
    assert isinstance(first, EngineRefused)
    assert isinstance(second, EngineRefused)
    np.testing.assert_array_equal(third, _photos(6))


def test_an_idle_device_waits_for_nobody() -> None:
    network = Network()
    network.go_on.release()
    merged = Merged(network, threading.Semaphore(1), 16)
    np.testing.assert_array_equal(merged.run(_photos(1))["twice"], _photos(2))
    assert network.runs == [1]


def test_as_many_runs_as_there_are_lanes_stand_side_by_side() -> None:
    network = Network()
    shared = SideBySide(network, threading.Semaphore(2))
    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(shared.run, _photos(value)) for value in (1, 2, 3)]
        assert network.inside.acquire(timeout=WAIT_S)
        assert network.inside.acquire(timeout=WAIT_S)
        assert not network.inside.acquire(timeout=0.05)
        network.go_on.release(3)
        for value, caller in zip((2, 4, 6), callers, strict=True):
            np.testing.assert_array_equal(caller.result(WAIT_S)["twice"], _photos(value))
    assert network.runs == [1, 1, 1]


class LoadedNetwork(Network):
    """Says besides what it runs on."""

    def __init__(self, accelerator: Accelerator) -> None:
        super().__init__()
        self.manifest = load_manifest(REPOSITORY / "trt_engines" / "sface")
        self.accelerator = accelerator


@pytest.mark.parametrize("accelerator", [Accelerator.CUDA, Accelerator.TENSORRT])
def test_each_network_is_shared_as_what_it_runs_on_is(accelerator: Accelerator) -> None:
    device, on_cpu, on_gpu = Device(2), LoadedNetwork(Accelerator.CPU), LoadedNetwork(accelerator)
    cpu, gpu = map(device.shared, (on_cpu, on_gpu))
    callers = [partial(cpu.run, _photos(1)), partial(gpu.run, _photos(1))] * 2
    with ThreadPoolExecutor(4) as pool:
        for caller in callers:
            pool.submit(caller)
        assert on_cpu.inside.acquire(timeout=WAIT_S)
        assert on_cpu.inside.acquire(timeout=WAIT_S)
        assert on_gpu.inside.acquire(timeout=WAIT_S)
        assert not on_gpu.inside.acquire(timeout=0.05)
        for network in (on_cpu, on_gpu):
            network.go_on.release(2)
    assert len(on_gpu.runs) == 2


def test_networks_on_one_gpu_take_turns_whatever_drives_it() -> None:
    device, networks = Device(2), [LoadedNetwork(driven) for driven in (Accelerator.CUDA, Accelerator.TENSORRT)]
    with ThreadPoolExecutor(2) as pool:
        pool.submit(device.shared(networks[0]).run, _photos(1))
        assert networks[0].inside.acquire(timeout=WAIT_S)
        pool.submit(device.shared(networks[1]).run, _photos(1))
        assert not networks[1].inside.acquire(timeout=0.05)
        for network in networks:
            network.go_on.release()
    assert networks[1].runs == [1]


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_lane_is_free_again_after_a_run_that_failed(lanes: int) -> None:
    network = Network()
    network.go_on.release(8)
    shared = SideBySide(network, threading.Semaphore(lanes))
    for _ in range(3):
        with pytest.raises(EngineRefused):
            shared.run(_photos(-1))
    np.testing.assert_array_equal(shared.run(_photos(1))["twice"], _photos(2))
