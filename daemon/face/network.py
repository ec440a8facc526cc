"""What the steps of this package need of a loaded network; `daemon.inference` has the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from daemon.manifest import Preprocessing
from daemon.records import Bytes, Floats


class Network(Protocol):
    """A function from one batch to named outputs; may be called from several threads at once."""

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """Every output by name, for a batch, float32 (batch, 3, height, width)."""


def as_batch(photos: Bytes, preprocessing: Preprocessing) -> Floats:
    """Pixels as a network wants them.

    Args:
        photos: uint8 (batch, height, width, 3), 0..255, RGB.
        preprocessing: colour order, offset and scale of the network.

    Returns:
        float32 (batch, 3, height, width), contiguous.
    """
    ordered = photos[..., ::-1] if preprocessing.colour_order == "BGR" else photos
    batch = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
    if (preprocessing.offset, preprocessing.scale) != (0.0, 1.0):
        batch = (batch - np.float32(preprocessing.offset)) * np.float32(preprocessing.scale)
    return batch
