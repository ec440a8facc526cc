"""What the detection network takes for faces, as arrays, and which of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.records import Doubles, Floats

STRIDES = (8, 16, 32)
"""Pixels per cell of the network's three heads. Source: YuNet, W. Wu et al., Machine Intelligence Research 20, 2023."""


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

        The confidence of a face loses a point per side_px that it is off the middle.
        """
        away = np.abs(self.boxes[:, :2] + self.boxes[:, 2:] / 2 - side_px / 2).max(axis=1, initial=0.0)
        near = np.flatnonzero(away < side_px / 4)
        if not len(near):
            return []
        best = near[np.argmax(self.confidences[near] - away[near] / side_px)]
        return [self.landmarks[best].astype(np.float64)]

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
    batch = len(outputs[f"cls_{STRIDES[0]}"])
    return [_decode(outputs, photo, width_px, confidence_min) for photo in range(batch)]


def _decode(outputs: Mapping[str, Floats], photo: int, width_px: int, confidence_min: float) -> Candidates:
    boxes, landmarks, confidences = [], [], []
    for stride in STRIDES:
        face, there = (outputs[f"{head}_{stride}"][photo, :, 0].clip(0, 1) for head in ("cls", "obj"))
        confidence = np.sqrt(face * there)
        cells = np.flatnonzero(confidence >= confidence_min)
        places = np.stack([cells % (width_px // stride), cells // (width_px // stride)], axis=1).astype(np.float32)
        box, points = (outputs[f"{head}_{stride}"][photo, cells] for head in ("bbox", "kps"))
        size = np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([(places + box[:, :2]) * stride - size / 2, size], axis=1))
        landmarks.append((places[:, None] + points.reshape(-1, 5, 2)) * stride)
        confidences.append(confidence[cells])
    return Candidates(*(np.concatenate(parts).astype(np.float32) for parts in (boxes, landmarks, confidences)))
