"""Step 3, detect: the face of a photo that is compared, and where its landmarks are.

A first look at the whole photo finds the face. Closer looks then show it to the detector at the size it judges best,
straight and mirrored, and the mean of what they say are the landmarks: where they are put decides most of what the
comparison gets wrong (measured in trt_engines/sface/README.md).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from daemon.errors import DetectionFailed
from daemon.face.candidates import Candidates, decode_heads
from daemon.face.geometry import apply, inverse, square, warp
from daemon.face.network import Network, as_batch
from daemon.manifest import Detection, Preprocessing
from daemon.records import Bytes, Doubles, Face, Floats, Pixels

_ALIGNED_PX = 32
"""Height and width the detector takes are multiples of this. Source: YuNet's coarsest stride."""

_UPRIGHT_DEG = 45.0
"""Beyond this a quarter turn brings the face nearer to upright."""

_MIRRORED_ORDER = (1, 0, 2, 4, 3)
"""In a mirrored photo left and right landmarks change names."""


class FaceDetector:
    """Step 3 of the pipeline."""

    def __init__(self, network: Network, preprocessing: Preprocessing, settings: Detection) -> None:
        self._network = network
        self._preprocessing = preprocessing
        self._settings = settings

    def detect(self, pixels: Pixels, auto_rotate: bool) -> Face:
        """The face that is compared: the largest, and of those about as large the one nearest the photo's centre.

        Args:
            pixels: the photo.
            auto_rotate: where no upright face is found, look at the photo turned by 90, 180 and 270 degrees too, and
                take the most upright face.

        Raises:
            DetectionFailed: no face was found.
        """
        turns, face = 0, self._first_look(pixels.rgb)
        if auto_rotate and not self._is_upright(face):
            turns, face = self._most_upright(pixels.rgb, face)
        if face is None:
            raise DetectionFailed("no face found")
        turned = np.rot90(pixels.rgb, turns)
        return _turned_back(self._closer(turned, face), turns, turned)

    def _is_upright(self, face: Face | None) -> bool:
        """Whether a face is so surely upright that the turned photo need not be looked at.

        The detector takes turned faces for upright ones too, with landmarks to match, but is less sure of them.
        """
        sure = self._settings.upright_confidence_min
        return face is not None and face.confidence >= sure and _tilt_deg(face) <= _UPRIGHT_DEG

    def _first_look(self, rgb: Bytes) -> Face | None:
        """The face that is compared, in a small copy of the photo, else in a larger copy."""
        settings = self._settings
        face = self._whole(rgb, settings.first_look_px)
        if face is None and max(rgb.shape[:2]) > settings.first_look_px:
            face = self._whole(rgb, settings.distant_look_px)
        return face

    def _most_upright(self, rgb: Bytes, unturned: Face | None) -> tuple[int, Face | None]:
        """Quarter turns and the face found after them; a face counts by its confidence and how upright it is."""
        looks = [(0, unturned), *((turns, self._first_look(np.rot90(rgb, turns))) for turns in (1, 2, 3))]
        found = [(turns, face) for turns, face in looks if face is not None]
        return max(
            found,
            key=lambda look: look[1].confidence * math.cos(math.radians(_tilt_deg(look[1]))),
            default=(0, None),
        )

    def _whole(self, rgb: Bytes, long_side_px: int) -> Face | None:
        """The face that is compared when the photo's longer side is long_side_px."""
        height, width = rgb.shape[:2]
        scale = long_side_px / max(height, width)
        small_px = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.zeros((_whole_blocks(small_px[1]), _whole_blocks(small_px[0]), 3), np.uint8)
        canvas[: small_px[1], : small_px[0]] = cv2.resize(np.ascontiguousarray(rgb), small_px, interpolation=how)
        found = self._look(as_batch(canvas[None], self._preprocessing))[0].without_overlaps(self._settings.overlap_max)
        if not found:
            return None
        chosen = found.compared(np.array(small_px) / 2, self._settings.about_as_large)
        back = np.array([width / small_px[0], height / small_px[1]], np.float32)
        return Face(
            box=chosen.boxes[0] * np.tile(back, 2),
            landmarks=chosen.landmarks[0] * back,
            confidence=float(chosen.confidences[0]),
        )

    def _closer(self, rgb: Bytes, face: Face) -> Face:
        """The same face, its landmarks the mean of the closer looks; as it was where none of them sees it."""
        side_px, scales = self._settings.close_look_px, self._settings.close_look_scales
        centre, side = face.box[:2] + face.box[2:] / 2, float(face.box[2:].max())
        frames = [square(centre, side * scale, side_px) for scale in scales]
        shown = [warp(np.ascontiguousarray(rgb), frame, side_px) for frame in frames]
        batch = as_batch(np.stack(shown), self._preprocessing)
        straight, mirrored = self._look(batch), self._look(np.ascontiguousarray(batch[..., ::-1]))
        seen: list[Doubles] = []
        for frame, one, other in zip(frames, straight, mirrored, strict=True):
            back = inverse(frame)
            seen += [apply(back, points) for points in one.central(side_px)]
            seen += [apply(back, _unmirrored(points, side_px)) for points in other.central(side_px)]
        if not seen:
            return face
        return Face(face.box, np.mean(seen, axis=0).astype(np.float32), face.confidence)

    def _look(self, batch: Floats) -> list[Candidates]:
        """What the network takes for faces in each photo of a batch, float32 (batch, 3, height, width)."""
        return decode_heads(self._network.run(batch), batch.shape[3], self._settings.confidence_min)


def _whole_blocks(size_px: int) -> int:
    return -(-size_px // _ALIGNED_PX) * _ALIGNED_PX


def _unmirrored(points: Doubles, width_px: int) -> Doubles:
    turned: Doubles = points[list(_MIRRORED_ORDER)].copy()
    turned[:, 0] = width_px - 1 - turned[:, 0]
    return turned


def _tilt_deg(face: Face) -> float:
    """Degrees, 0 to 180, between straight down and the way from between the eyes to the middle of the mouth."""
    right_eye, left_eye, _nose, right_mouth, left_mouth = face.landmarks.astype(np.float64)
    x, y = (right_mouth + left_mouth - right_eye - left_eye) / 2
    return abs(math.degrees(math.atan2(x, y)))


def _turned_back(face: Face, turns: int, turned: Bytes) -> Face:
    """A face found in a turned photo, in px of the photo as it was; the box keeps its size around the face."""
    height, width = turned.shape[:2]
    # np.rot90 turns against the clock: a point (x, y) of the turned photo was at these places before.
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
