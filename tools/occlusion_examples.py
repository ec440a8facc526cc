"""Examples for the occlusion head: a crop as it is or with more drawn on it, and how much of each region shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from daemon.face.alignment import PLACES
from daemon.records import CROP_SIZE_PX, REGIONS, Bytes, Floats
from tools.occluders import CAMERAS, FACES, OCCLUDERS
from tools.occluders.canvas import LEFT_EYE, RIGHT_EYE, Cover, Random, ellipse
from tools.occluders.glasses import spectacles

REGION_BOXES = {
    "left_eye": (PLACES[1], (10.0, 6.0)),
    "right_eye": (PLACES[0], (10.0, 6.0)),
    "nose": ((PLACES[2][0], PLACES[2][1] - 1), (9.0, 9.0)),
    "mouth": (((PLACES[3][0] + PLACES[4][0]) / 2, (PLACES[3][1] + PLACES[4][1]) / 2), (16.0, 7.0)),
}
"""Centre and half width and height in px of each region in an aligned crop: the eye between its lids, the nose from
its tip half way up, the lips. Source: the landmarks' places in `daemon.face.alignment`, 35 px from eye to eye."""

_CHANCES = {"mask": 4, "dark_glasses": 6, "hand": 4, "scarf": 1.5, "hair": 1.5, "microphone": 1.5}
"""How often an occluder is drawn; one that is not named counts 0.75. Ours: what cameras at a counter see most."""

_UNSURE_FROM = 0.5
"""Share of an eye's opening that rim and reflection hide from which people answer differently whether it is covered.
Ours."""

_MIRRORED = [1, 0, 2, 3]
"""In a mirrored crop the eyes change names."""


@dataclass(frozen=True, slots=True)
class Example:
    """One crop to learn from or to measure on.

    Attributes:
        crop: uint8 (112, 112, 3), 0..255, RGB.
        visible: float32 (4,), as REGIONS, share of each that shows, 0 to 1; NaN where it is not known.
        shows: what was drawn on it last, or what it is; empty where nothing was drawn.
    """

    crop: Bytes
    visible: Floats
    shows: str


def region_masks() -> Floats:
    """Which pixels make up each region: float32 (4, 112, 112), each summing to 1."""
    masks = np.zeros((len(REGIONS), CROP_SIZE_PX, CROP_SIZE_PX), np.float32)
    for mask, region in zip(masks, REGIONS, strict=True):
        (x, y), (half_width, half_height) = REGION_BOXES[region]
        mask[round(y - half_height) : round(y + half_height), round(x - half_width) : round(x + half_width)] = 1
    return np.asarray(masks / masks.sum(axis=(1, 2), keepdims=True), np.float32)


_MASKS = region_masks()
_OPENINGS = {
    REGIONS.index("left_eye"): ellipse(LEFT_EYE, (8, 4)),
    REGIONS.index("right_eye"): ellipse(RIGHT_EYE, (8, 4)),
}
"""Between the lids."""
_WEIGHTS = np.array([_CHANCES.get(occluder.__name__, 0.75) for occluder in OCCLUDERS])


def drawn_on(crop: Bytes, visible: Floats, random: Random) -> Example:
    """A crop, mirrored or not, with an occluder, a hard negative, both or neither, seen by some camera."""
    crop, visible = perhaps_mirrored(crop, visible, random)
    cover: Cover = np.zeros((CROP_SIZE_PX, CROP_SIZE_PX), np.bool_)
    what = ""
    if random.random() < 0.4:
        crop, hidden = spectacles(crop, random)
        visible, what = _unsure_where(hidden, visible), "clear_spectacles"
    elif random.random() < 0.3:
        look = FACES[int(random.integers(len(FACES)))]
        crop, what = look(crop, random), look.__name__
    if random.random() < 0.6:
        for _ in range(1 if random.random() < 0.8 else 2):
            occluder = OCCLUDERS[int(random.choice(len(OCCLUDERS), p=_WEIGHTS / _WEIGHTS.sum()))]
            crop, more = occluder(crop, random)
            cover, what = cover | more, occluder.__name__
    crop, cover = _seen(crop, cover, random)
    return Example(crop, _joined(visible, cover), what)


def _unsure_where(hidden: Cover, visible: Floats) -> Floats:
    """What shows behind spectacles: most often all that showed; of an eye that they hide in part nobody can say."""
    for region, opening in _OPENINGS.items():
        if hidden[opening].mean() > _UNSURE_FROM and visible[region] > 0:
            visible = np.where(np.arange(len(REGIONS)) == region, np.float32(np.nan), visible)
    return visible


def seen_again(crop: Bytes, visible: Floats, random: Random) -> Example:
    """A crop as another camera would have seen it, mirrored or not; nothing is drawn over the face."""
    crop, visible = perhaps_mirrored(crop, visible, random)
    crop, _ = _seen(crop, np.zeros((CROP_SIZE_PX, CROP_SIZE_PX), np.bool_), random)
    return Example(crop, visible, "")


def perhaps_mirrored(crop: Bytes, visible: Floats, random: Random) -> tuple[Bytes, Floats]:
    """Half of the time the face in a mirror, in which its eyes change names."""
    if random.random() < 0.5:
        return crop, visible
    return np.ascontiguousarray(crop[:, ::-1]), visible[_MIRRORED]


def _seen(crop: Bytes, cover: Cover, random: Random) -> tuple[Bytes, Cover]:
    """Light and camera, and landmarks that are a little off, as they are on covered faces."""
    for _ in range(int(random.choice([0, 1, 2], p=[0.4, 0.45, 0.15]))):
        crop = CAMERAS[int(random.integers(len(CAMERAS)))](crop, random)
    if random.random() < 0.3:
        return crop, cover
    off = cv2.getRotationMatrix2D((56, 72), random.normal(0, 3), 1 + random.normal(0, 0.03))
    off[:, 2] = off[:, 2] + random.normal(0, 1.8, 2)
    size, edge = (CROP_SIZE_PX, CROP_SIZE_PX), cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(cover.astype(np.uint8), off, size, flags=cv2.INTER_NEAREST, borderMode=edge)
    return np.asarray(cv2.warpAffine(crop, off, size, borderMode=edge), np.uint8), moved.astype(bool)


def _joined(visible: Floats, cover: Cover) -> Floats:
    """What shows after drawing: an unsure region stays unsure unless it is now mostly covered."""
    share = np.clip(1 - np.tensordot(_MASKS, cover.astype(np.float32), axes=2), 0, 1)
    both = np.minimum(share, np.nan_to_num(visible, nan=1))
    return np.asarray(np.where(np.isnan(visible) & (share > 0.3), np.nan, both), np.float32)
