"""What the detection network takes for faces, as arrays, and which of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from daemon.records import Doubles, Floats

STRIDES = (8, 16, 32)
"""Pixels per cell of the network's three heads. Source: YuNet, W. Wu et al., Machine Intelligence Research 20, 2023."""


_SAME_FACE = 0.5
"""Boxes that overlap by so much, intersection over union, are of one face."""


@dataclass(frozen=True, slots=True, repr=False)
class Candidates:
    """Some faces of one photo, side by side.

    Attributes:
        boxes: float32 (n, 4): left, top, width, height in px.
        landmarks: float32 (n, 5, 2): x, y in px.
        confidences: float32 (n,): 0 to 1.
    """

    boxes: Floats
    landmarks: Floats
    confidences: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def without_overlaps(self, overlap_max: float) -> Candidates:
        """The most confident of each group that overlap by more than overlap_max (intersection over union)."""
        kept = cv2.dnn.NMSBoxes(self.boxes.tolist(), self.confidences.tolist(), 0.0, overlap_max)
        return self._chosen(np.asarray(kept, np.intp).ravel())

    def compared(self, centre: Doubles, about_as_large: float) -> Candidates:
        """The one face that is compared.

        Args:
            centre: x and y in px of the photo's centre.
            about_as_large: faces at least this share as long as the largest count as equally large: a detector's
                boxes vary by more than that. Of those, the one nearest the centre is taken.
        """
        sides = np.sqrt(self.boxes[:, 2] * self.boxes[:, 3])
        away = np.linalg.norm(self.boxes[:, :2] + self.boxes[:, 2:] / 2 - centre, axis=1)
        rivals = np.flatnonzero(sides >= about_as_large * sides.max())
        return self._chosen(rivals[[np.argmin(away[rivals])]])

    def central(self, side_px: int) -> list[Doubles]:
        """Landmarks, float64 (5, 2), of the face that a close look was aimed at; none where none is near the middle.

        The confidence of a face loses a point per side_px that it is off the middle. The landmarks are the mean of what
        all cells say that see the same face, weighted by confidence: which cell is surest changes with a bit of noise,
        and one differs from its neighbour by several px.

        Source: blending, V. Bazarevsky et al., "BlazeFace: sub-millisecond neural face detection on mobile GPUs", 2019,
        section 3.4.
        """
        away = np.abs(self.boxes[:, :2] + self.boxes[:, 2:] / 2 - side_px / 2).max(axis=1, initial=0.0)
        near = np.flatnonzero(away < side_px / 4)
        if not len(near):
            return []
        best = near[np.argmax(self.confidences[near] - away[near] / side_px)]
        same = near[self._overlaps(best)[near] >= _SAME_FACE]
        return [np.average(self.landmarks[same].astype(np.float64), axis=0, weights=self.confidences[same])]

    def _overlaps(self, place: np.intp) -> Floats:
        """Intersection over union of each box with the one at a place, float32 (n,)."""
        ends = self.boxes[:, :2] + self.boxes[:, 2:]
        starts = np.maximum(self.boxes[:, :2], self.boxes[place, :2])
        shared = (np.minimum(ends, ends[place]) - starts).clip(0).prod(axis=1)
        areas = self.boxes[:, 2:].prod(axis=1)
        return np.asarray(shared / (areas + areas[place] - shared), np.float32)

    def _chosen(self, which: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Candidates:
        return Candidates(self.boxes[which], self.landmarks[which], self.confidences[which])


def decode_heads(outputs: Mapping[str, Floats], width_px: int, confidence_min: float) -> list[Candidates]:
    """The network's raw outputs as faces.

    Source: OpenCV's `FaceDetectorYN` post-processing: confidence sqrt(cls obj), centre (cell + offset) stride, size
    exp(.) stride.

    Args:
        outputs: `cls`, `obj`, `bbox` and `kps` for each stride, float32 (batch, cells, values).
        width_px: width of the photos.
        confidence_min: least confidence that counts.

    Returns:
        One record per photo of the batch.
    """
    face, there, box, points = (
        np.concatenate([outputs[f"{head}_{stride}"] for stride in STRIDES], axis=1)
        for head in ("cls", "obj", "bbox", "kps")
    )
    confidences = np.sqrt(face.clip(0, 1) * there.clip(0, 1))[..., 0]
    photos, cells = np.nonzero(confidences >= confidence_min)
    places, strides = (each[cells] for each in _cells(confidences.shape[1], width_px))
    box, points = box[photos, cells], points[photos, cells].reshape(-1, 5, 2)
    size = np.exp(box[:, 2:]) * strides
    boxes = np.concatenate([(places + box[:, :2]) * strides - size / 2, size], axis=1)
    found = (boxes, (places[:, None] + points) * strides[:, None], confidences[photos, cells])
    return [Candidates(*(each[photos == photo] for each in found)) for photo in range(len(confidences))]


@lru_cache(maxsize=16)
def _cells(count: int, width_px: int) -> tuple[Floats, Floats]:
    """The cells of all heads: column and row, float32 (count, 2), and pixels per cell, float32 (count, 1)."""
    # Each stride has a quarter of the cells of the one before, as sides are multiples of the coarsest.
    per_head = [count * 16 // 21 // 4**head for head in range(len(STRIDES))]
    places = [
        np.stack(divmod(np.arange(cells), width_px // stride)[::-1], axis=1)
        for cells, stride in zip(per_head, STRIDES, strict=True)
    ]
    strides = np.repeat(np.array(STRIDES, np.float32), per_head)
    return np.concatenate(places).astype(np.float32), strides[:, None]
