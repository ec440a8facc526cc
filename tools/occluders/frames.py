"""Pairs of glasses as shapes: lenses and frames of many kinds around the eyes of an aligned crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.records import Doubles, Floats
from tools.occluders.canvas import (
    LEFT_EYE,
    RIGHT_EYE,
    SIDE,
    Cover,
    Random,
    any_colour,
    filled,
    one_of,
    rounded,
    strokes,
)

_COLOURS = [[15, 15, 18], [50, 32, 22], [110, 75, 40], [150, 150, 155], [190, 160, 90], [120, 20, 30], [235, 235, 235]]
"""Black, brown, horn, silver, gold, red and white frames; RGB."""

_SHAPES: tuple[Doubles, ...] = (
    np.array([(-1, -0.9), (1, -0.9), (0.95, 0.9), (-0.95, 0.9)]),
    np.array([(-1, -0.8), (0, -1), (1, -0.7), (0.9, 0.5), (0.2, 1), (-0.7, 0.8)]),
    np.array([(-0.95, -0.9), (0.9, -0.9), (1, 0), (0.5, 1), (-0.2, 1), (-0.9, 0.1)]),
    np.array([(-0.9, -0.5), (0.4, -0.7), (1.15, -1.1), (1, 0.4), (0.1, 1), (-0.9, 0.6)]),
    np.array([(-1, -0.7), (1.1, -0.9), (1.15, 0.2), (0.3, 0.9), (-0.8, 0.6)]),
    np.array([(np.cos(turn), np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 16, endpoint=False)]),
    np.array([(-1, -0.2), (-0.4, -1), (0.6, -1), (1.1, -0.3), (0.6, 0.9), (-0.4, 0.9)]),
    np.array([(-0.9, -0.9), (1.1, -1), (1.2, -0.2), (0.9, 1), (-0.3, 1.05), (-0.95, 0.3)]),
    np.array([(-1, -0.5), (0.2, -0.9), (1.2, -0.6), (1.25, 0), (0.4, 0.6), (-0.7, 0.9)]),
)
"""Rectangular, panto, aviator, cat-eye, wrapped, oval, six-sided, butterfly and sports lenses, from the nose (x -1)
outwards, y down; unit sizes."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of glasses as shapes.

    Attributes:
        lenses: what both lenses hold.
        frame: rims, bridge and temples.
    """

    lenses: Cover
    frame: Cover


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large lenses may be: half width and half height in px, least and most."""

    wide_px: tuple[float, float] = (11.5, 20)
    high_px: tuple[float, float] = (7.5, 16)


def pair_of_glasses(random: Random, thick_px: int, sizes: Sizes) -> Pair:
    """Glasses of any shape around the eyes, a little slanted; on a face turned aside one lens is narrower."""
    shape = rounded(_SHAPES[int(random.integers(len(_SHAPES)))], int(random.integers(1, 3)))
    size, lift = np.array([random.uniform(*sizes.wide_px), random.uniform(*sizes.high_px)]), random.normal(1.5, 2)
    out, turn_rad = random.normal(0, 1.2), np.radians(random.normal(0, 2))
    aside = {int(random.choice([-1, 1])): random.uniform(0.6, 1) if random.random() < 0.3 else 1.0}
    lenses, rims = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    reaches = []
    for eye, side in ((RIGHT_EYE, -1), (LEFT_EYE, 1)):
        wide = size[0] * aside.get(side, 1)
        middle = np.add(eye, (side * (out - (size[0] - wide) / 2), lift))
        lens = _slanted(middle + shape * (side * wide, size[1]), turn_rad)
        lenses |= filled(lens)
        rims |= strokes(np.stack([lens, np.roll(lens, -1, axis=0)], axis=1), thick_px)
        reaches.append((middle[0] - side * wide, middle[0] + side * wide))
    (inner, outer), (inner2, outer2) = reaches
    y = RIGHT_EYE[1] + lift - size[1] * random.uniform(0, 0.6)
    bars = [[(inner, y), (inner2, y)], [(outer, y), (-2, y - 3)], [(outer2, y), (SIDE + 2, y - 3)]]
    rims = _rimmed(rims, int(RIGHT_EYE[1] + lift), random)
    return Pair(lenses, rims | strokes(_slanted(bars, turn_rad), thick_px))


def _rimmed(rims: Cover, middle_px: int, random: Random) -> Cover:
    """All of the rims, none of them, or only the half above."""
    kind = random.random()
    if kind < 0.15:
        return np.zeros_like(rims)
    if kind < 0.35:
        return np.asarray(rims & (np.arange(SIDE) < middle_px)[:, None], np.bool_)
    return rims


def _slanted(points: npt.ArrayLike, turn_rad: float) -> Doubles:
    """Points, (..., 2), turned a little around the middle between the eyes."""
    middle = np.array([SIDE / 2, RIGHT_EYE[1]])
    across, down = np.moveaxis(np.asarray(points, np.float64) - middle, -1, 0)
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return np.asarray(np.stack([across * cos - down * sin, across * sin + down * cos], axis=-1) + middle)


def visor(random: Random) -> Cover:
    """One shield over both eyes, with or without a notch for the nose."""
    (x, y), (x2, _) = RIGHT_EYE, LEFT_EYE
    above, below, out = random.uniform(8, 15), random.uniform(7, 15), random.uniform(14, 24)
    nose, rise = (x + x2) / 2, random.uniform(0, 0.9) * below
    outline = [(x - out, y - above), (x2 + out, y - above), (x2 + out * 0.8, y + below), (nose + 6, y + below)]
    return filled([*outline, (nose, y + below - rise), (nose - 6, y + below), (x - out * 0.8, y + below)])


def frame_colour(random: Random) -> Floats:
    """The colour of a frame; float32 (3,), 0..255, RGB."""
    return one_of(random, _COLOURS) if random.random() < 0.8 else any_colour(random)
