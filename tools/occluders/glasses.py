"""What is worn before the eyes: dark glasses, which cover them, and spectacles, which do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daemon.records import Bytes, Doubles, Floats
from tools.occluders.canvas import (
    LEFT_EYE,
    RIGHT_EYE,
    SIDE,
    Cover,
    Random,
    any_colour,
    blend,
    ellipse,
    filled,
    one_of,
    rounded,
    soft,
    strokes,
)

_TINTS = [
    [12, 12, 14],
    [22, 24, 30],
    [40, 28, 20],
    [60, 40, 26],
    [24, 40, 30],
    [26, 34, 60],
    [80, 30, 24],
    [100, 55, 20],
]
"""Black, brown, green, blue, red and orange lenses; RGB."""

_FRAMES = [[15, 15, 18], [50, 32, 22], [110, 75, 40], [150, 150, 155], [190, 160, 90], [120, 20, 30], [235, 235, 235]]
"""Black, brown, horn, silver, gold, red and white frames; RGB."""

_HIDES_FROM = 0.7
"""Share of light that a lens must keep to count as covering the eye behind it."""

_SHAPES: tuple[Doubles, ...] = (
    np.array([(-1, -0.9), (1, -0.9), (0.95, 0.9), (-0.95, 0.9)]),
    np.array([(-1, -0.8), (0, -1), (1, -0.7), (0.9, 0.5), (0.2, 1), (-0.7, 0.8)]),
    np.array([(-0.95, -0.9), (0.9, -0.9), (1, 0), (0.5, 1), (-0.2, 1), (-0.9, 0.1)]),
    np.array([(-0.9, -0.5), (0.4, -0.7), (1.15, -1.1), (1, 0.4), (0.1, 1), (-0.9, 0.6)]),
    np.array([(-1, -0.7), (1.1, -0.9), (1.15, 0.2), (0.3, 0.9), (-0.8, 0.6)]),
    np.array([(np.cos(turn), np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 16, endpoint=False)]),
)
"""Rectangular, panto, aviator, cat-eye, wrapped and oval lenses, from the nose (x -1) outwards, y down; unit sizes."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair of glasses as shapes.

    Attributes:
        lenses: what both lenses hold.
        frame: rims, bridge and temples.
    """

    lenses: Cover
    frame: Cover


def _pair(random: Random, thick_px: int) -> _Pair:
    """Glasses of any shape around the eyes, both lenses mirrored."""
    shape = rounded(_SHAPES[int(random.integers(len(_SHAPES)))], int(random.integers(1, 3)))
    size, lift = np.array([random.uniform(11.5, 20), random.uniform(7.5, 16)]), random.normal(1.5, 2)
    out = random.normal(0, 1.2)
    lenses, rims = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    for eye, side in ((RIGHT_EYE, -1), (LEFT_EYE, 1)):
        lens = eye + (side * out, lift) + shape * size * (side, 1)
        lenses |= filled(lens)
        rims |= strokes(np.stack([lens, np.roll(lens, -1, axis=0)], axis=1), thick_px)
    y = RIGHT_EYE[1] + lift - size[1] * random.uniform(0, 0.6)
    inner, outer = size[0] - out, size[0] + out
    nose = [(RIGHT_EYE[0] + inner, y), (LEFT_EYE[0] - inner, y)]
    ears = [[(RIGHT_EYE[0] - outer, y), (-2, y - 3)], [(LEFT_EYE[0] + outer, y), (SIDE + 2, y - 3)]]
    kind = random.random()
    if kind < 0.15:  # rimless
        rims &= False
    elif kind < 0.35:  # half a rim, above
        rims[int(RIGHT_EYE[1] + lift) :] = False
    return _Pair(lenses, rims | strokes([nose, *ears], max(1, thick_px)))


def _frame_colour(random: Random) -> Floats:
    return one_of(random, _FRAMES) if random.random() < 0.8 else any_colour(random)


def _gleam(drawn: Bytes, lenses: Cover, random: Random) -> Bytes:
    """Spots and streaks of light on the lenses."""
    spots = np.zeros((SIDE, SIDE), bool)
    for eye in (RIGHT_EYE, LEFT_EYE):
        axes = (random.uniform(2, 9), random.uniform(1, 4))
        spots |= ellipse(eye + random.normal(0, 7, 2), axes, random.uniform(0, 180))
    light = any_colour(random) / 2 + 127
    return blend(drawn, light, soft(spots & lenses, random) * random.uniform(0.2, 0.95))


def dark_glasses(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Glasses whose lenses hide the eyes: dark, tinted, lighter below, mirroring, or one shield over both eyes."""
    pair = _pair(random, int(random.integers(1, 4)))
    lenses = pair.lenses
    if random.random() < 0.15:  # a shield
        height = random.uniform(8, 14)
        (x, y), (x2, _) = RIGHT_EYE, LEFT_EYE
        lenses = lenses | filled(
            [(x - 18, y - height), (x2 + 18, y - height), (x2 + 14, y + height), (x - 14, y + height)]
        )
    rows = np.linspace(0, 1, SIDE)[:, None]
    above, below = random.uniform(0.82, 1.0), random.uniform(0.72, 1.0)
    dense = np.clip(above + (below - above) * (rows * SIDE - 38) / 26, _HIDES_FROM, 1) * soft(lenses, random)
    tint: Floats = np.broadcast_to(one_of(random, _TINTS), (SIDE, SIDE, 3)).astype(np.float32)
    if random.random() < 0.25:  # mirroring: sky above, ground below
        sky, ground = any_colour(random), any_colour(random) / 2
        tint = np.asarray(sky + (ground - sky) * np.clip((rows[..., None] * SIDE - 40) / 24, 0, 1), np.float32)
        tint = np.broadcast_to(tint, (SIDE, SIDE, 3)).astype(np.float32)
        dense = np.maximum(dense, 0.88 * soft(lenses, random))
    drawn = blend(crop, tint, dense)
    if random.random() < 0.45:
        drawn = _gleam(drawn, lenses, random)
    frame = tint[52, 56] if random.random() < 0.5 else _frame_colour(random)
    return blend(drawn, frame, soft(pair.frame, random)), lenses


def clear_spectacles(crop: Bytes, random: Random) -> Bytes:
    """Spectacles through which the eyes are seen: rims thin to thick, in any colour, reflections, a light tint."""
    pair = _pair(random, int(random.choice([1, 1, 1, 2, 2, 3, 4])))
    drawn = crop
    if random.random() < 0.4:
        tint = one_of(random, _TINTS) if random.random() < 0.5 else any_colour(random)
        drawn = blend(drawn, tint, soft(pair.lenses, random) * random.uniform(0.03, 0.3))
    if random.random() < 0.5:
        drawn = _gleam(drawn, pair.lenses, random)
    return blend(drawn, _frame_colour(random), soft(pair.frame, random) * random.uniform(0.5, 1))
