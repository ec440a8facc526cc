"""What a network must compute: input and outputs kept beside its engine, and how near to them it must come."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daemon.errors import EngineRefused
from daemon.inference.accelerators import BUILD
from daemon.manifest import Manifest
from daemon.records import Floats

_GOLDEN_COSINE_MIN = 0.999
"""Least cosine of an output to its golden vector. Source: the gate for FP16 in trt_engines/README.md."""


class Runs(Protocol):
    """A network that can be asked."""

    manifest: Manifest

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """Every output of the network for one batch."""


def golden_batch(golden: bytes) -> Floats:
    """The input of golden vectors: float32, shape and range as the network's manifest says.

    Args:
        golden: .npz with `input`.
    """
    with np.load(io.BytesIO(golden), allow_pickle=False) as vectors:
        return np.asarray(vectors["input"], np.float32)


def check_golden(network: Runs, golden: bytes) -> float:
    """Least cosine between what the network computes now and what it must compute.

    Also the warm-up: onnxruntime allocates and chooses kernels in its first run.

    Args:
        network: the loaded network.
        golden: .npz with `input` and one array per checked output.

    Raises:
        EngineRefused: an output is not the one the network must give.
    """
    with np.load(io.BytesIO(golden), allow_pickle=False) as wanted:
        found = network.run(wanted["input"])
        cosines = {name: cosine(found[name], wanted[name]) for name in wanted.files if name != "input"}
    name, worst = min(cosines.items(), key=lambda entry: -1.0 if math.isnan(entry[1]) else entry[1])
    if not worst >= _GOLDEN_COSINE_MIN:  # NaN is not
        raise EngineRefused(
            f"network {network.manifest.name} computes something else than it was built to: output {name} has "
            f"cosine {worst:.6f} to its golden vector, at least {_GOLDEN_COSINE_MIN} is expected",
            BUILD,
        )
    return worst


def cosine(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> float:
    """Cosine between two arrays taken as flat vectors; NaN where either holds one."""
    a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
