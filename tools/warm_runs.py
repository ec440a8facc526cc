"""How long a network takes once it is warm: the same question when it is built and whenever doctor asks."""

from __future__ import annotations

import io
import time

import numpy as np

from daemon.inference.network import OnnxNetwork
from daemon.records import Floats

_RUNS = 5
"""The fastest of a few: whatever else this machine does only makes runs slower."""


def warm_ms(network: OnnxNetwork) -> float:
    """Milliseconds of its fastest run over its golden vectors, of a few.

    Args:
        network: a loaded engine, which has proven itself on them.
    """
    assert network.golden is not None
    with np.load(io.BytesIO(network.golden), allow_pickle=False) as golden:
        batch = golden["input"]
    return min(_run_ms(network, batch) for _ in range(_RUNS))


def _run_ms(network: OnnxNetwork, batch: Floats) -> float:
    began = time.perf_counter()
    network.run(batch)
    return (time.perf_counter() - began) * 1000
