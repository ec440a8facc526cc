"""How long a network takes once it is warm: the same question when it is built and whenever doctor asks."""

from __future__ import annotations

import time
from collections.abc import Callable

from daemon.config import Accelerator
from daemon.inference.golden import golden_batch
from daemon.inference.network import OnnxNetwork
from daemon.records import Floats

_RUNS = 20
"""The fastest of a few: whatever else this machine does only makes runs slower."""


def warm_ms(network: OnnxNetwork) -> float:
    """Milliseconds of its fastest run over its golden vectors, of a few; on a CPU those of its own work alone.

    Args:
        network: a loaded engine, which has proven itself on them.
    """
    assert network.golden is not None
    batch = golden_batch(network.golden)
    # A network has one thread on a CPU: its processor time does not grow by what else is done meanwhile.
    clock = time.thread_time if network.accelerator is Accelerator.CPU else time.perf_counter
    return min(_run_ms(network, batch, clock) for _ in range(_RUNS))


def _run_ms(network: OnnxNetwork, batch: Floats, clock: Callable[[], float]) -> float:
    began = clock()
    network.run(batch)
    return (clock() - began) * 1000
