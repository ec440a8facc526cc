"""Colours, textures and shapes on an aligned crop of 112 x 112 px, from a seeded random generator.

Sizes are in px of the crop. The ranges are ours; what they are worth on real photos is in trt_engines/sface/README.md.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from daemon.face.alignment import PLACES
from daemon.records import CROP_SIZE_PX, Bytes, Doubles, Floats

Cover = npt.NDArray[np.bool_]
"""bool (112, 112): True where the face is covered."""

Random = np.random.Generator

SIDE = CROP_SIZE_PX
RIGHT_EYE, LEFT_EYE, NOSE, _RIGHT_MOUTH, _LEFT_MOUTH = (np.array(place) for place in PLACES)
MOUTH = (_RIGHT_MOUTH + _LEFT_MOUTH) / 2


def any_colour(random: Random) -> Floats:
    """Any colour, often a grey one: masks and phones mostly are; float32 (3,), 0..255, RGB."""
    grey = np.full(3, random.uniform(0, 255))
    return np.asarray(np.where(random.random() < 0.5, grey, random.uniform(0, 255, 3)), np.float32)


def one_of(random: Random, colours: npt.ArrayLike) -> Floats:
    """One of some colours, (n, 3), a little changed; float32 (3,), 0..255, RGB."""
    rows = np.asarray(colours, np.float32)
    return np.asarray(np.clip(rows[int(random.integers(len(rows)))] + random.normal(0, 10, 3), 0, 255), np.float32)


def skin(random: Random) -> Floats:
    """A skin tone between very light and very dark, on the line that CIE individual typology angles follow."""
    light, dark = np.array([246, 214, 194]), np.array([58, 36, 28])
    return np.asarray(light + (dark - light) * random.random() + random.normal(0, 8, 3), np.float32)


def skin_of(crop: Bytes) -> Floats:
    """The tone of a face's own skin, between eyes and mouth; float32 (3,), 0..255, RGB."""
    return np.asarray(np.median(crop[60:80, 35:75].reshape(-1, 3), axis=0), np.float32)


def texture(random: Random, colour: Floats) -> Floats:
    """The colour with shading, folds and grain; float32 (112, 112, 3)."""
    cells = (int(random.integers(2, 7)), int(random.integers(2, 7)))
    coarse = random.normal(0, random.uniform(4, 28), cells).astype(np.float32)
    shade = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    grain = random.normal(0, random.uniform(0, 7), (SIDE, SIDE, 1))
    stripes = np.zeros((SIDE, SIDE, 1))
    if random.random() < 0.35:
        rows, columns = np.mgrid[:SIDE, :SIDE]
        along = rows * np.cos(turn := random.uniform(-0.5, 1.6)) + columns * np.sin(turn)
        stripes = (random.uniform(4, 40) * np.sin(along * random.uniform(0.2, 1.6)))[..., None]
    return np.asarray(colour + shade + grain + stripes, np.float32)


def blend(crop: Bytes, over: npt.ArrayLike, share: npt.NDArray[np.floating]) -> Bytes:
    """Something painted over the crop.

    Args:
        crop: uint8 (112, 112, 3), 0..255, RGB.
        over: a colour (3,) or a picture (112, 112, 3), 0..255, RGB.
        share: (112, 112), 0 the crop alone to 1 the paint alone.
    """
    weight = share[..., None]
    return np.asarray(np.clip(crop * (1 - weight) + np.asarray(over) * weight, 0, 255), np.uint8)


def soft(cover: Cover, random: Random) -> Floats:
    """The cover with an edge as soft as a photo's; float32 (112, 112), 0 to 1."""
    return np.asarray(cv2.GaussianBlur(cover.astype(np.float32), (0, 0), random.uniform(0.4, 1.2)), np.float32)


def paint(crop: Bytes, cover: Cover, colour: Floats, random: Random) -> Bytes:
    """The crop with the covered part painted over in a textured colour."""
    return blend(crop, texture(random, colour), soft(cover, random))


def filled(points: npt.ArrayLike) -> Cover:
    """What a polygon, (n, 2), holds."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.round(np.asarray(points)).astype(np.int32)], 1)
    return canvas.astype(bool)


def rounded(points: npt.ArrayLike, times: int = 2) -> Doubles:
    """A closed polygon, (n, 2), with its corners cut off; float64 (4 n, 2) for two times.

    Source: G. Chaikin, "An algorithm for high-speed curve generation", Computer Graphics and Image Processing 3, 1974.
    """
    corners: Doubles = np.asarray(points, np.float64)
    for _ in range(times):
        after = np.roll(corners, -1, axis=0)
        corners = np.stack([0.75 * corners + 0.25 * after, 0.25 * corners + 0.75 * after], axis=1).reshape(-1, 2)
    return corners


def ellipse(centre: npt.ArrayLike, axes: tuple[float, float], turn_deg: float = 0.0) -> Cover:
    """What an ellipse with these half axes holds."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    middle = tuple(int(value) for value in np.round(np.asarray(centre)))
    cv2.ellipse(canvas, middle, (max(1, int(axes[0])), max(1, int(axes[1]))), turn_deg, 0, 360, 1, -1)
    return canvas.astype(bool)


def strokes(lines: npt.ArrayLike, thick_px: int) -> Cover:
    """What lines, (n, 2, 2) of ends x and y, hold."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for first, last in np.round(np.asarray(lines)).astype(int):
        cv2.line(canvas, tuple(map(int, first)), tuple(map(int, last)), 1, thick_px, cv2.LINE_AA)
    return canvas.astype(bool)
