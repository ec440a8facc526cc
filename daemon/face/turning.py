"""How a photo is turned, and how far a face is from upright."""

from __future__ import annotations

import math

import numpy as np

from daemon.face.geometry import apply
from daemon.records import Bytes, Face


def tilt_deg(face: Face) -> float:
    """Degrees, 0 to 180, between straight down and the way from between the eyes to the middle of the mouth."""
    right_eye, left_eye, _nose, right_mouth, left_mouth = face.landmarks.astype(np.float64)
    x, y = (right_mouth + left_mouth - right_eye - left_eye) / 2
    return abs(math.degrees(math.atan2(x, y)))


def uprightness(face: Face) -> float:
    """How surely a face is upright, -1 to 1: the detector's confidence times the cosine of the tilt.

    Neither tells alone: the detector gives turned faces upright landmarks, but is less sure of them.
    """
    return face.confidence * math.cos(math.radians(tilt_deg(face)))


def turned_back(face: Face, turns: int, turned: Bytes) -> Face:
    """A face found in a turned photo, in px of the photo as it was; the box keeps its size around the face.

    Args:
        face: in px of the turned photo.
        turns: 0 to 3 quarters, as `numpy.rot90` counts them.
        turned: uint8 (height, width, 3), the turned photo.
    """
    height, width = turned.shape[:2]
    # A point (x, y) of the turned photo was at these places before.
    back = {
        0: np.array([[1, 0, 0], [0, 1, 0]]),
        1: np.array([[0, -1, height - 1], [1, 0, 0]]),
        2: np.array([[-1, 0, width - 1], [0, -1, height - 1]]),
        3: np.array([[0, 1, 0], [-1, 0, width - 1]]),
    }[turns]
    left_top, right_bottom = face.box[:2], face.box[:2] + face.box[2:]
    corners = apply(back, np.stack([left_top, right_bottom]))
    box = np.concatenate([corners.min(axis=0), np.ptp(corners, axis=0)]).astype(np.float32)
    return Face(box, apply(back, face.landmarks).astype(np.float32), face.confidence)
