"""Things before the face: phones, paper, microphones, cups, cloth of any texture, hair and caps over the eyes."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.records import Bytes
from tools.occluders.canvas import (
    MOUTH,
    SIDE,
    Cover,
    Random,
    any_colour,
    blend,
    ellipse,
    filled,
    one_of,
    paint,
    soft,
    strokes,
)

_HAIR = [[20, 16, 14], [50, 34, 24], [95, 65, 40], [170, 130, 80], [215, 185, 130], [120, 60, 35], [170, 170, 170]]
"""Black, browns, blonds, red and grey; RGB."""


def patch(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Some shape in some colour or random texture, anywhere on the face."""
    centre, axes = random.uniform(25, 100, 2), (random.uniform(8, 32), random.uniform(8, 32))
    if random.random() < 0.4:
        cover = ellipse(centre, axes, random.uniform(0, 180))
    else:
        cover = _box(centre, axes, random.uniform(0, 180))
    if random.random() < 0.3:
        cells = random.uniform(0, 255, (*random.integers(3, 20, 2), 3)).astype(np.float32)
        return blend(crop, cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), soft(cover, random)), cover
    return paint(crop, cover, any_colour(random), random), cover


def _box(centre: tuple[float, float] | np.ndarray, axes: tuple[float, float], turn_deg: float) -> Cover:
    x, y = map(float, centre)
    return filled(cv2.boxPoints(((x, y), (2 * axes[0], 2 * axes[1]), turn_deg)))


def phone(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A phone: dark or light, a lens or two in a corner."""
    centre, turn = random.uniform((25, 45), (90, 100)), random.normal(0, 25)
    size = random.uniform(14, 24)
    cover = _box(centre, (size, size * random.uniform(1.7, 2.2)), turn)
    drawn = paint(crop, cover, one_of(random, [[15, 15, 18], [230, 230, 232], [120, 40, 50], [60, 80, 120]]), random)
    lens = ellipse(centre - (size / 2, size), (random.uniform(2, 4),) * 2) & cover
    return blend(drawn, np.full(3, 5.0), lens * 0.9), cover


def paper(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A sheet of paper or a book, with lines as of text, from below or a side."""
    turn = random.normal(0, 15)
    cover = _box(
        (random.uniform(20, 92), random.uniform(85, 120)), (random.uniform(25, 55), random.uniform(16, 45)), turn
    )
    drawn = paint(
        crop, cover, one_of(random, [[240, 240, 238], [225, 215, 190], [235, 200, 80], [200, 60, 50]]), random
    )
    lines = [
        [(random.uniform(0, 40), y), (random.uniform(60, 112), y + np.tan(np.radians(turn)) * 60)]
        for y in range(50, 112, 6)
    ]
    return blend(drawn, np.full(3, 40.0), (strokes(lines, 1) & cover) * random.uniform(0, 0.6)), cover


def microphone(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A microphone or a cup on a stem from below, before the chin (which is allowed) or the mouth."""
    head = np.add(MOUTH, (random.normal(0, 12), random.uniform(-8, 24)))
    size = (random.uniform(6, 14), random.uniform(7, 15))
    stem = strokes([[head, np.add(head, (random.normal(0, 20), 60))]], int(random.integers(4, 12)))
    cover = ellipse(head, size, random.uniform(-30, 30)) | stem
    colour = (
        one_of(random, [[15, 15, 16], [60, 60, 64], [150, 150, 155]]) if random.random() < 0.8 else any_colour(random)
    )
    drawn = paint(crop, cover, colour, random)
    mesh = (np.indices((SIDE, SIDE)).sum(axis=0) % 3 == 0) & ellipse(head, size)
    return blend(drawn, np.full(3, 160.0), mesh * random.uniform(0, 0.35)), cover


def hair(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Hair or a cap from above, down to the brow (which is allowed) or over the eyes, or over one side of the face."""
    if random.random() < 0.4:
        edge = random.uniform(14, 50) + np.cumsum(random.normal(0, 2, 10))
        points = np.array([*zip(edge, np.linspace(-1, SIDE, 10), strict=True), (-1, SIDE), (-1, -1)])
        points[:, 0] = points[:, 0] if random.random() < 0.5 else SIDE - 1 - points[:, 0]
    else:
        edge = random.uniform(18, 66) + np.cumsum(random.normal(0, 3, 10))
        points = np.array([*zip(np.linspace(-1, SIDE, 10), edge, strict=True), (SIDE, -1), (-1, -1)])
    cover = filled(points)
    drawn = paint(crop, cover, one_of(random, _HAIR) if random.random() < 0.75 else any_colour(random), random)
    starts = random.uniform(0, SIDE, (30, 2))
    strands = strokes(np.stack([starts, starts + random.normal((0, 25), 8, (30, 2))], axis=1), 1) & cover
    return blend(drawn, np.full(3, random.choice([0.0, 200.0])), strands * random.uniform(0, 0.4)), cover
