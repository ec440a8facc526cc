"""What is worn before the eyes: dark glasses, which cover them, and spectacles, which do not.

A lens takes light away, colours it and adds what it mirrors. Whether it hides the eye behind it does not follow from
how light it is: a brown lens in the sun shows bright skin and no eye, a grey one indoors both.
"""

from __future__ import annotations

import cv2
import numpy as np

from daemon.records import Bytes, Floats
from tools.occluders.canvas import LEFT_EYE, RIGHT_EYE, SIDE, Cover, Random, any_colour, blend, ellipse, one_of, soft
from tools.occluders.frames import Sizes, frame_colour, pair_of_glasses, visor

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

_LIGHT_TINTS = [
    [120, 118, 120],
    [110, 75, 50],
    [160, 115, 75],
    [215, 125, 50],
    [200, 60, 50],
    [205, 165, 70],
    [90, 110, 80],
    [70, 90, 165],
    [130, 95, 150],
    [190, 120, 120],
]
"""Grey, brown, light brown, orange, red, amber, green, blue, violet and rose lenses by what they let through of white
light; RGB."""

_HIDES_FROM = 0.7
"""Share of light that a lens must keep to count as covering the eye behind it."""

_DARK_SIZES = Sizes(wide_px=(11, 22), high_px=(7, 18))
"""Dark glasses are worn larger than spectacles."""


def _gleam(drawn: Bytes, lenses: Cover, random: Random) -> tuple[Bytes, Cover]:
    """Spots and streaks of light on the lenses, and where they are so bright that nothing is seen through them."""
    spots: Cover = np.zeros((SIDE, SIDE), np.bool_)
    for eye in (RIGHT_EYE, LEFT_EYE):
        axes = (random.uniform(2, 9), random.uniform(1, 4))
        spots |= ellipse(eye + random.normal(0, 7, 2), axes, random.uniform(0, 180))
    spots &= lenses
    light, strength = any_colour(random) / 2 + 127, random.uniform(0.2, 0.95)
    return blend(drawn, light, soft(spots, random) * strength), spots & (strength >= _HIDES_FROM)


def _ramp(random: Random, above: float, below: float) -> Floats:
    """From one share above the eyes to another below them; float32 (112, 112)."""
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    start, length = random.uniform(36, 46), random.uniform(12, 28)
    return np.asarray(
        np.broadcast_to(above + (below - above) * np.clip((rows - start) / length, 0, 1), (SIDE, SIDE)), np.float32
    )


def _opaque(crop: Bytes, lenses: Cover, random: Random) -> Bytes:
    """Lenses that are dark by themselves, perhaps lighter below."""
    dense = np.clip(_ramp(random, random.uniform(0.82, 1.0), random.uniform(0.72, 1.0)), _HIDES_FROM, 1)
    return blend(crop, one_of(random, _TINTS), dense * soft(lenses, random))


def _coloured(crop: Bytes, lenses: Cover, random: Random) -> Bytes:
    """Lenses as light as the skin around them or darker, behind which no eye shows."""
    skin = cv2.GaussianBlur(crop, (0, 0), random.uniform(5, 9)).astype(np.float32)
    behind = skin + (crop - skin) * random.uniform(0, 1 - _HIDES_FROM)
    through = one_of(random, _LIGHT_TINTS) / 255 * random.uniform(0.35, 1.1)
    light = _ramp(random, random.uniform(0.4, 1), random.uniform(0.8, 1.4))[..., None]
    haze = random.uniform(0, 40) if random.random() < 0.5 else 0
    return blend(crop, behind * through * light + haze, soft(lenses, random))


def _mirrored(crop: Bytes, lenses: Cover, random: Random) -> Bytes:
    """Lenses that mirror sky and ground, or whatever stands before them."""
    sky, ground = any_colour(random), any_colour(random) / 2
    seen = sky + (ground - sky) * _ramp(random, 0, 1)[..., None]
    if random.random() < 0.6:
        cells = random.normal(
            0, random.uniform(15, 60), (*random.integers(4, 22, 2), 1 if random.random() < 0.6 else 3)
        )
        things = cv2.resize(cells.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        seen = seen + things.reshape(SIDE, SIDE, -1)
    return blend(crop, np.clip(seen, 0, 255), random.uniform(0.85, 1) * soft(lenses, random))


def _streaked(drawn: Bytes, lenses: Cover, random: Random) -> Bytes:
    """Broad bands of light across both lenses."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    along = columns * np.cos(turn := random.normal(0, 0.5)) + rows * np.sin(turn)
    bands = np.clip(np.sin(along * random.uniform(0.15, 0.6) + random.uniform(0, 6)) * 2, 0, 1)
    return blend(drawn, any_colour(random) / 2 + 110, bands * soft(lenses, random) * random.uniform(0.1, 0.45))


def dark_glasses(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Glasses whose lenses hide the eyes: dark, coloured, lighter below, mirroring, or one shield over both eyes."""
    pair = pair_of_glasses(random, int(random.integers(1, 5)), _DARK_SIZES)
    lenses = np.asarray(pair.lenses | visor(random), np.bool_) if random.random() < 0.15 else pair.lenses
    kind = random.random()
    look = _opaque if kind < 0.45 else _coloured if kind < 0.75 else _mirrored
    drawn = look(crop, lenses, random)
    if random.random() < 0.45:
        drawn, _ = _gleam(drawn, lenses, random)
    if random.random() < 0.15:
        drawn = _streaked(drawn, lenses, random)
    frame = drawn[52, 38].astype(np.float32) * 0.8 if random.random() < 0.35 else frame_colour(random)
    return blend(drawn, frame, soft(pair.frame, random)), lenses


def spectacles(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Spectacles through which the eyes are seen: rims thin to thick, in any colour, reflections, a light tint.

    Returns:
        The crop, and where a rim or a reflection lets nothing through: at times over an eye.
    """
    pair = pair_of_glasses(random, int(random.choice([1, 1, 1, 2, 2, 3, 4])), Sizes())
    drawn, hidden = crop, np.zeros_like(pair.frame)
    kind = random.random()
    if kind < 0.25:
        tint = one_of(random, _TINTS) if random.random() < 0.5 else any_colour(random)
        drawn = blend(drawn, tint, soft(pair.lenses, random) * random.uniform(0.03, 0.3))
    elif kind < 0.5:
        through = 1 - random.uniform(0.1, 0.7) * (1 - one_of(random, _LIGHT_TINTS) / 255)
        light = _ramp(random, random.uniform(0.75, 1), random.uniform(0.9, 1))[..., None]
        drawn = blend(drawn, drawn * through * light, soft(pair.lenses, random))
    if random.random() < 0.5:
        drawn, hidden = _gleam(drawn, pair.lenses, random)
    solid = random.uniform(0.5, 1)
    drawn = blend(drawn, frame_colour(random), soft(pair.frame, random) * solid)
    return drawn, np.asarray(hidden | (pair.frame & (solid >= _HIDES_FROM)), np.bool_)


def clear_spectacles(crop: Bytes, random: Random) -> Bytes:
    """`spectacles` as a hard negative."""
    return spectacles(crop, random)[0]
