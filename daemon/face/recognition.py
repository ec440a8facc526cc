"""Step 5, embed: what makes the face this person's, and how much of it is visible, from one run of the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.errors import EngineRefused
from daemon.face.network import Network, as_batch
from daemon.manifest import Preprocessing
from daemon.records import REGIONS, FaceCrop, Portrait

EMBEDDING_OUTPUT = "embedding"
VISIBLE_OUTPUT = "visible"
"""Outputs that the engine recipe gives every recognition network."""


class Recogniser:
    """Step 5 of the pipeline."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        self._network = network
        self._preprocessing = preprocessing

    def embed(self, crops: Sequence[FaceCrop]) -> list[Portrait]:
        """One portrait per crop, in their order, from one batch.

        Args:
            crops: as many as the engine's profile allows; none gives none.

        Raises:
            EngineRefused: the network failed, or its embedding is all zeros.
        """
        if not crops:
            return []
        found = self._network.run(as_batch(np.stack([crop.rgb for crop in crops]), self._preprocessing))
        raw = found[EMBEDDING_OUTPUT].astype(np.float32)
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        if not norms.all():
            raise EngineRefused("the recognition network says nothing of a face", "Run: fvctl engines verify")
        unit = raw / norms
        return [
            Portrait(vector.copy(), dict(zip(REGIONS, map(float, visible), strict=True)))
            for vector, visible in zip(unit, found[VISIBLE_OUTPUT], strict=True)
        ]
