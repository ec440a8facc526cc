"""Hands before the face: fists, palms and single fingers, in any skin tone, often the face's own."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.records import Bytes, Doubles, Floats
from tools.occluders.canvas import (
    LEFT_EYE,
    MOUTH,
    NOSE,
    RIGHT_EYE,
    SIDE,
    Cover,
    Random,
    blend,
    ellipse,
    paint,
    skin,
    skin_of,
)


def hand(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A hand over mouth, nose or an eye: a palm and one to five fingers, stretched or folded."""
    target = [MOUTH, MOUTH, NOSE, RIGHT_EYE, LEFT_EYE, (NOSE + MOUTH) / 2][int(random.integers(6))]
    centre = target + random.normal(0, 4, 2)
    # Hands come from below or the sides far more often than from above.
    turn = -np.pi / 2 + random.normal(0, 1.1)
    along = np.array([np.cos(turn), np.sin(turn)])
    across, thick = np.array([-along[1], along[0]]), random.uniform(7, 12)
    fingers = 5 if random.random() < 0.7 else int(random.integers(1, 4))
    folded = random.random() < 0.35
    palm = _palm(centre, along, random) if fingers > 1 or random.random() < 0.5 else np.zeros((SIDE, SIDE), bool)
    tone = _tone(crop, random)
    drawn, cover = paint(crop, palm, tone, random), palm
    for finger in range(fingers):
        base = centre + across * (finger - (fingers - 1) / 2) * thick * random.uniform(0.9, 1.1) - along * 14
        reach = random.uniform(10, 18) if folded else random.uniform(24, 44)
        drawn, one = _finger(drawn, np.stack([base, base + along * reach]), thick * random.uniform(0.85, 1.1), tone)
        cover = cover | one
    return drawn, cover


def _tone(crop: Bytes, random: Random) -> Floats:
    return (
        skin_of(crop) * random.uniform(0.8, 1.15) + random.normal(0, 8, 3).astype(np.float32)
        if random.random() < 0.65
        else skin(random)
    )


def _palm(centre: Doubles, along: Doubles, random: Random) -> Cover:
    return ellipse(
        centre - along * random.uniform(22, 30),
        (random.uniform(18, 28), random.uniform(16, 26)),
        float(np.degrees(np.arctan2(along[1], along[0]))),
    )


def _finger(drawn: Bytes, bone: Doubles, thick: float, tone: Floats) -> tuple[Bytes, Cover]:
    """A finger along a bone, (2, 2): round, so darker towards its edges, with a dark line beside it."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    first, last = (tuple(map(int, end)) for end in np.round(bone))
    cv2.line(canvas, first, last, 1, max(2, int(thick)))
    inside = canvas.astype(bool)
    depth = cv2.distanceTransform(canvas, cv2.DIST_L2, 3)
    light = 0.62 + 0.42 * np.clip(depth / (thick / 2), 0, 1) ** 0.5
    edge = np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.6), np.float32)
    return blend(drawn, tone * light[..., None], edge), inside
