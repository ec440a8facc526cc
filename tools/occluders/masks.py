"""What covers the lower face: surgical and cloth masks, respirators, scarves, veils."""

from __future__ import annotations

import numpy as np

from daemon.records import Bytes, Doubles
from tools.occluders.canvas import (
    SIDE,
    Cover,
    Random,
    any_colour,
    blend,
    ellipse,
    filled,
    one_of,
    paint,
    rounded,
    strokes,
)

_USUAL = [
    [235, 238, 240],
    [150, 195, 220],
    [110, 165, 205],
    [150, 205, 190],
    [20, 20, 24],
    [240, 205, 215],
    [60, 70, 100],
]
"""White, light blue, blue, green, black, pink and navy; RGB."""


def mask(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A mask from the nose (sometimes from below it) to the chin, with pleats, a seam or a valve, and straps."""
    middle, top = 56 + random.normal(0, 2.5), random.uniform(56, 74)
    if random.random() < 0.12:  # worn below the nose
        top = random.uniform(78, 84)
    outline = _outline(middle, top, random)
    cover = filled(rounded(outline, int(random.integers(0, 3))))
    drawn = crop
    if random.random() < 0.6:
        ends = [
            [(-4, top + random.uniform(-16, 6)), outline[0]],
            [(SIDE + 4, top + random.uniform(-16, 6)), outline[4]],
        ]
        drawn = blend(drawn, one_of(random, _USUAL), strokes(ends, int(random.integers(1, 3))) * random.uniform(0.5, 1))
    drawn = paint(drawn, cover, one_of(random, _USUAL) if random.random() < 0.7 else any_colour(random), random)
    return _detailed(drawn, cover, middle, random), cover


def _outline(middle: float, top: float, random: Random) -> Doubles:
    """Left ear's side over the nose to the right, and back over the chin; float64 (8, 2)."""
    rise, low, wide = random.uniform(-2, 12), random.uniform(102, 120), random.uniform(32, 50)
    drop, narrow = random.uniform(2, 14), random.uniform(0.55, 1.0)
    return np.array(
        [
            (middle - wide, top + drop),
            (middle - wide / 2, top + rise / 3),
            (middle, top - rise / 2),
            (middle + wide / 2, top + rise / 3),
            (middle + wide, top + drop),
            (middle + wide * narrow, low),
            (middle, low + random.uniform(0, 10)),
            (middle - wide * narrow, low),
        ]
    )


def _detailed(drawn: Bytes, cover: Cover, middle: float, random: Random) -> Bytes:
    """Pleats across, a seam down the middle, or a valve."""
    what, shade = random.random(), random.choice([0.0, 255.0])
    marks = np.zeros((SIDE, SIDE), bool)
    if what < 0.35:
        pleats = np.linspace(random.uniform(76, 84), random.uniform(96, 106), int(random.integers(2, 5)))
        marks = strokes([[(8, y), (104, y + random.normal(0, 2))] for y in pleats], 1)
    elif what < 0.55:
        marks = strokes([[(middle, 60), (middle + random.normal(0, 3), 112)]], 1)
    elif what < 0.65:
        marks = ellipse((middle + random.normal(0, 10), random.uniform(82, 98)), (6, 6))
    return blend(drawn, np.full(3, shade), (marks & cover) * random.uniform(0.1, 0.4))


def scarf(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Cloth from below, up to the chin (which is allowed), the mouth or the nose, in folds."""
    level = random.uniform(56, 112)
    edge = level + np.cumsum(random.normal(0, 1.2, 8)) + random.uniform(-8, 8) * np.linspace(-1, 1, 8) ** 2
    cover = filled([*zip(np.linspace(-1, SIDE, 8), edge, strict=True), (SIDE, SIDE), (-1, SIDE)])
    drawn = paint(crop, cover, any_colour(random), random)
    folds = [[(random.uniform(-10, SIDE), SIDE), (random.uniform(-10, SIDE + 10), level)] for _ in range(4)]
    dark = strokes(folds, int(random.integers(1, 5))) & cover
    return blend(drawn, np.zeros(3), dark * random.uniform(0, 0.35)), cover
