"""Real dark glasses, spectacles and masks put on other faces: what a few people wear, seen on many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.records import REGIONS, Bytes, Floats
from tools.occluders.canvas import LEFT_EYE, RIGHT_EYE, SIDE, Cover, Random, blend, ellipse, filled, skin_of
from tools.occlusion_examples import Example, perhaps_mirrored, seen_again

_EYES = [region.endswith("eye") for region in REGIONS]

_CHANCES = {"dark glasses": 0.45, "spectacles": 0.35, "mask": 0.2}
"""What is put on other faces, and how often. Ours: spectacles, so that a seam alone is no sign of a cover."""


@dataclass(frozen=True, slots=True)
class Worn:
    """A face whose glasses or mask are put on others.

    Attributes:
        crop: uint8 (112, 112, 3), 0..255, RGB.
        visible: float32 (4,), as REGIONS.
        shows: one of those in `can_be_worn`.
    """

    crop: Bytes
    visible: Floats
    shows: str


def can_be_worn(shows: str) -> bool:
    """Whether another face can wear it."""
    return shows in _CHANCES


def worn(crop: Bytes, visible: Floats, random: Random, wardrobe: Sequence[Worn]) -> Example:
    """A face with the glasses or the mask of another one, mirrored or not, seen by some camera.

    Args:
        crop: uint8 (112, 112, 3), 0..255, RGB, of a face with nothing before it.
        visible: float32 (4,), as REGIONS.
        random: source of everything random.
        wardrobe: what there is to wear; at least one.
    """
    kinds = sorted({one.shows for one in wardrobe})
    chances = np.array([_CHANCES[kind] for kind in kinds])
    kind = kinds[int(random.choice(len(kinds), p=chances / chances.sum()))]
    such = [one for one in wardrobe if one.shows == kind]
    one = such[int(random.integers(len(such)))]
    theirs, shown = perhaps_mirrored(one.crop, one.visible, random)
    # As light as the face it is put on: glasses and mask stand in the same light as the skin.
    lower = kind == "mask"
    gain = np.clip(_tone(crop, lower) / np.maximum(_tone(theirs, lower), 1), 0.5, 1.6) ** random.uniform(0, 1)
    area = _lower_face(random) if lower else _around_eyes(random)
    edge = np.asarray(cv2.GaussianBlur(area, (0, 0), random.uniform(1, 3)), np.float32)
    there = np.array(_EYES) != lower
    both = np.where(there, shown, visible).astype(np.float32)
    return seen_again(blend(crop, theirs * gain, edge), both, random)


def _tone(crop: Bytes, masked: bool) -> Floats:
    """The tone of the skin below the eyes, or of the brow where a mask hides that; float32 (3,)."""
    return np.asarray(np.median(crop[26:38, 40:72].reshape(-1, 3), axis=0), np.float32) if masked else skin_of(crop)


def _around_eyes(random: Random) -> Floats:
    """Where glasses are: both lenses, the bridge and the temples; float32 (112, 112), 0 or 1."""
    wide, high, lower = random.uniform(22, 27), random.uniform(15, 19), random.uniform(1, 5)
    area: Cover = np.zeros((SIDE, SIDE), np.bool_)
    for eye in (RIGHT_EYE, LEFT_EYE):
        area |= ellipse(np.add(eye, (0, lower)), (wide, high))
    area[int(RIGHT_EYE[1] - 9) : int(RIGHT_EYE[1] + 7)] = True
    return area.astype(np.float32)


def _lower_face(random: Random) -> Floats:
    """Where a mask is: from the bridge of the nose down; float32 (112, 112), 0 or 1."""
    side, middle = random.uniform(60, 68), random.uniform(55, 60)
    return filled([(-1, side), (SIDE / 2, middle), (SIDE, side), (SIDE, SIDE), (-1, SIDE)]).astype(np.float32)
