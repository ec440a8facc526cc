"""How long do the networks take, now that they are warm?"""

from __future__ import annotations

import io
import time

import numpy as np

from daemon.inference.network import OnnxNetwork
from tools.checks.finding import Check, Device, Finding, well

_RUNS = 5
"""The fastest of a few: what else this machine does, doctor's other questions included, only makes runs slower."""


def _look(device: Device) -> Finding:
    networks = device.networks()
    found = {network.manifest.name: _fastest_ms(network) for network in (networks.detection, networks.recognition)}
    told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in found.items())
    # Nothing states a bound yet: what a network may take depends on the accelerator, and no build measured it.
    return well(f"two photos take, warm: {told}", **{name: round(ms, 1) for name, ms in found.items()})


def _fastest_ms(network: OnnxNetwork) -> float:
    assert network.golden is not None  # a loaded engine has proven itself on them
    with np.load(io.BytesIO(network.golden), allow_pickle=False) as golden:
        batch = golden["input"]
    return min(_run_ms(network, batch) for _ in range(_RUNS))


def _run_ms(network: OnnxNetwork, batch: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    began = time.perf_counter()
    network.run(batch)
    return (time.perf_counter() - began) * 1000


CHECK = Check("latency", "How long do the networks take?", _look, within_s=8.0)
