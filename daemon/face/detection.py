"""Step 3, detect: the face of a photo that is compared, and where its landmarks are.

A first look at the whole photo finds the face. Closer looks then show it to the detector at the size it judges best,
straight and mirrored, and the mean of what they say are the landmarks: where they are put decides most of what the
comparison gets wrong (measured in trt_engines/sface/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.errors import DetectionFailed
from daemon.face.candidates import Candidates, decode_heads
from daemon.face.geometry import apply, inverse, resized, square, warp
from daemon.face.network import Network, as_batch
from daemon.face.turning import tilt_deg, turned_back, uprightness
from daemon.manifest import Detection, Preprocessing
from daemon.records import Bytes, Doubles, Face, Floats, Pixels

_ALIGNED_PX = 32
"""Height and width the detector takes are multiples of this. Source: YuNet's coarsest stride."""

_UPRIGHT_DEG = 45.0
"""Beyond this a quarter turn brings the face nearer to upright."""

_TURNED_LOOK_PX = 192
"""Longer side of the copies that are turned: four looks at it cost less than two at 320 px, and of the sizes tried it
tells best which way is up. Source: measured in trt_engines/yunet/README.md."""

_MIRRORED_ORDER = (1, 0, 2, 4, 3)
"""In a mirrored photo left and right landmarks change names."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The face that is compared, as the first look saw it.

    Attributes:
        turns: quarter turns, as `numpy.rot90` counts them, after which it is upright.
        face: in px of the photo so turned.
    """

    turns: int
    face: Face

    def enlarged(self, times: float) -> Sighting:
        """The same face in the same photo with so many times as many pixels a side."""
        face = self.face
        box, landmarks = face.box * np.float32(times), face.landmarks * np.float32(times)
        return Sighting(self.turns, Face(box, landmarks, face.confidence))


class FaceDetector:
    """Step 3 of the pipeline."""

    def __init__(self, network: Network, preprocessing: Preprocessing, settings: Detection) -> None:
        self._network = network
        self._preprocessing = preprocessing
        self._settings = settings

    def detect(self, pixels: Pixels, auto_rotate: bool) -> Face:
        """The face that is compared, in the pixels there are; arguments and refusals as for `find`."""
        return self.look_closer(pixels, self.find(pixels, auto_rotate))

    def find(self, pixels: Pixels, auto_rotate: bool) -> Sighting:
        """The face that is compared: the largest, and of those about as large the one nearest the photo's centre.

        Args:
            pixels: the photo.
            auto_rotate: where no upright face is found, look at the photo turned by 90, 180 and 270 degrees too, and
                take the most upright face.

        Raises:
            DetectionFailed: no face was found; in a reduced photo perhaps because it has too few pixels.
        """
        looks_px = self._looks_px(pixels)
        turns, face = 0, self._first_look(pixels.rgb, looks_px)
        if auto_rotate and not self._is_upright(face):
            turns, face = self._most_upright(pixels.rgb, face, looks_px)
        if face is None:
            raise DetectionFailed("no face found")
        return Sighting(turns, face)

    def look_closer(self, pixels: Pixels, sighting: Sighting) -> Face:
        """The same face, with landmarks from closer looks, in px of the photo as it is."""
        turned = np.ascontiguousarray(np.rot90(pixels.rgb, sighting.turns))
        return turned_back(self._closer(turned, sighting.face), sighting.turns, turned)

    def _looks_px(self, pixels: Pixels) -> list[int]:
        """Longer sides of the copies to look at, smallest first; no look is larger than it has pixels for."""
        settings, longer_px = self._settings, max(pixels.rgb.shape[:2])
        there_are_more = pixels.reduction > 1 and longer_px < settings.distant_look_px
        is_distant = longer_px > settings.first_look_px and not there_are_more
        return [settings.first_look_px, *([settings.distant_look_px] if is_distant else [])]

    def _is_upright(self, face: Face | None) -> bool:
        """Whether a face is so surely upright that the turned photo need not be looked at."""
        sure = self._settings.upright_confidence_min
        return face is not None and face.confidence >= sure and tilt_deg(face) <= _UPRIGHT_DEG

    def _first_look(self, rgb: Bytes, looks_px: Sequence[int]) -> Face | None:
        """The face that is compared, in the smallest copy of the photo that shows one."""
        found = (self._whole(rgb, long_side_px, [0]).get(0) for long_side_px in looks_px)
        return next((face for face in found if face is not None), None)

    def _most_upright(self, rgb: Bytes, unturned: Face | None, looks_px: Sequence[int]) -> tuple[int, Face | None]:
        """Quarter turns and the most upright face; larger copies only where no turn of the smaller ones shows any."""
        for long_side_px in (_TURNED_LOOK_PX, *looks_px):
            found = self._whole(rgb, long_side_px, [0, 2]) | self._whole(rgb, long_side_px, [1, 3])
            if found:
                known = {} if unturned is None else {0: unturned}
                best = max({**known, **found}.items(), key=lambda look: uprightness(look[1]))
                return (0, unturned or best[1]) if best[0] == 0 else best
        return 0, unturned

    def _whole(self, rgb: Bytes, long_side_px: int, turns: Sequence[int]) -> dict[int, Face]:
        """By quarter turns the face that is compared when the photo's longer side is long_side_px, in one batch.

        Args:
            rgb: the photo.
            long_side_px: of the copy that is looked at.
            turns: all even or all odd, so that the copies have one shape.

        Returns:
            Faces in px of the photo so turned; a turn that shows none is not there.
        """
        height, width = rgb.shape[:2]
        scale = long_side_px / max(height, width)
        small_px = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = resized(rgb, small_px)
        batch = np.stack([_in_whole_blocks(np.rot90(small, turn)) for turn in turns])
        seen = self._look(as_batch(batch, self._preprocessing))
        back = np.array([width / small_px[0], height / small_px[1]], np.float32)
        found = {}
        for turn, candidates in zip(turns, seen, strict=True):
            order = -1 if turn % 2 else 1  # a quarter turn swaps width and height
            found[turn] = self._chosen(candidates, np.array(small_px[::order], np.float64), back[::order])
        return {turn: face for turn, face in found.items() if face is not None}

    def _chosen(self, seen: Candidates, size_px: Doubles, back: Floats) -> Face | None:
        """Of what was seen in a copy of size_px, the face that is compared, times `back`."""
        apart = seen.without_overlaps(self._settings.overlap_max)
        if not apart:
            return None
        chosen = apart.compared(size_px / 2, self._settings.about_as_large)
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
        shown = np.stack([warp(rgb, frame, side_px) for frame in frames])
        looks = self._look(as_batch(np.concatenate([shown, shown[:, :, ::-1]]), self._preprocessing))
        seen: list[Doubles] = []
        for place, frame in enumerate(frames):
            back, straight, mirrored = inverse(frame), looks[place], looks[len(frames) + place]
            points = [*straight.central(side_px), *(_unmirrored(face, side_px) for face in mirrored.central(side_px))]
            seen += [apply(back, each) for each in points]
        if not seen:
            return face
        return Face(face.box, np.mean(seen, axis=0).astype(np.float32), face.confidence)

    def _look(self, batch: Floats) -> list[Candidates]:
        """What the network takes for faces in each photo of a batch, float32 (batch, 3, height, width)."""
        return decode_heads(self._network.run(batch), batch.shape[3], self._settings.confidence_min)


def _in_whole_blocks(rgb: Bytes) -> Bytes:
    """The photo in the left top corner of a black one whose sides the detector takes."""
    height, width = (-(-side_px // _ALIGNED_PX) * _ALIGNED_PX for side_px in rgb.shape[:2])
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: rgb.shape[0], : rgb.shape[1]] = rgb
    return canvas


def _unmirrored(points: Doubles, width_px: int) -> Doubles:
    turned: Doubles = points[list(_MIRRORED_ORDER)].copy()
    turned[:, 0] = width_px - 1 - turned[:, 0]
    return turned
