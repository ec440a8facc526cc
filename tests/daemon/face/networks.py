"""Networks that say what a test tells them to; each fits `daemon.face.network.Network`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from daemon.face.network import Network
from daemon.records import Floats

STRIDES = (8, 16, 32)


def empty_heads(batch: int, height_px: int, width_px: int) -> dict[str, Floats]:
    """What the detection network gives where there is no face."""
    return {
        f"{head}_{stride}": np.zeros((batch, (height_px // stride) * (width_px // stride), values), np.float32)
        for stride in STRIDES
        for head, values in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    }


def put_face(heads: dict[str, Floats], cell: int, landmarks: npt.ArrayLike, confidence: float = 1.0) -> None:
    """A face in one cell of the coarsest head: 64 x 64 px, centred on the cell's corner.

    Args:
        heads: of a batch of one.
        cell: row times columns plus column.
        landmarks: (5, 2), offsets from the cell's corner in cells.
        confidence: of the face.
    """
    heads["cls_32"][0, cell], heads["obj_32"][0, cell] = confidence, confidence
    heads["bbox_32"][0, cell] = (0, 0, np.log(2), np.log(2))
    heads["kps_32"][0, cell] = np.asarray(landmarks, np.float32).ravel()


class Faceless:
    """Sees no face in anything, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Floats] = []

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """No face."""
        self.shown.append(batch)
        return empty_heads(len(batch), batch.shape[2], batch.shape[3])


class OneFaceThenNone:
    """Sees one face in the first batch and none in those after it."""

    def __init__(self, cell: int, landmarks: npt.ArrayLike) -> None:
        self._next: list[tuple[int, npt.ArrayLike]] = [(cell, landmarks)]

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """One face, once."""
        heads = empty_heads(len(batch), batch.shape[2], batch.shape[3])
        if self._next:
            put_face(heads, *self._next.pop())
        return heads


class Watched:
    """Another network, and what it was shown."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.shown: list[Floats] = []

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """What the other network says."""
        self.shown.append(batch)
        return self._network.run(batch)


class Fixed:
    """A recognition network that gives the same rows whatever it is shown, as many as faces came in."""

    def __init__(self, embeddings: Sequence[Sequence[float]], visible: Sequence[Sequence[float]]) -> None:
        self._embeddings = np.array(embeddings, np.float32)
        self._visible = np.array(visible, np.float32)

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """The first rows."""
        return {"embedding": self._embeddings[: len(batch)], "visible": self._visible[: len(batch)]}
