"""Draws what covers faces, and what only looks like it, onto aligned crops of 112 x 112 px.

Everything is drawn by us from a seeded random generator; no photo of a real mask, hand or pair of glasses is used.
An occluder returns where it covers; a hard negative changes the crop and covers nothing.
Sizes are in px of the crop. The ranges are ours; what they are worth on real masks and glasses is in
trt_engines/sface/README.md.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from daemon.face.alignment import PLACES
from daemon.records import CROP_SIZE_PX, Bytes

Cover = npt.NDArray[np.bool_]
"""bool (112, 112): True where the face is covered."""

Random = np.random.Generator

_RIGHT_EYE, _LEFT_EYE, _NOSE, _RIGHT_MOUTH, _LEFT_MOUTH = (np.array(place) for place in PLACES)
_MOUTH = (_RIGHT_MOUTH + _LEFT_MOUTH) / 2
_SIDE = CROP_SIZE_PX


def _colour(random: Random) -> npt.NDArray[np.float32]:
    """Any colour, often a grey one: masks and phones mostly are."""
    grey = np.full(3, random.uniform(0, 255))
    return np.asarray(np.where(random.random() < 0.5, grey, random.uniform(0, 255, 3)), np.float32)


def _skin(random: Random) -> npt.NDArray[np.float32]:
    """A skin tone between very light and very dark, on the line that CIE individual typology angles follow."""
    light, dark = np.array([246, 214, 194]), np.array([58, 36, 28])
    return np.asarray(light + (dark - light) * random.random() + random.normal(0, 8, 3), np.float32)


def _texture(random: Random, colour: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The colour with shading, folds and grain; float32 (112, 112, 3)."""
    coarse = random.normal(0, random.uniform(4, 28), (int(random.integers(2, 7)), int(random.integers(2, 7)))).astype(
        np.float32
    )
    shade = cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    grain = random.normal(0, random.uniform(0, 7), (_SIDE, _SIDE, 1))
    stripes = np.zeros((_SIDE, _SIDE, 1))
    if random.random() < 0.35:
        rows, columns = np.mgrid[:_SIDE, :_SIDE]
        along = rows * np.cos(turn := random.uniform(-0.5, 1.6)) + columns * np.sin(turn)
        stripes = (random.uniform(4, 40) * np.sin(along * random.uniform(0.2, 1.6)))[..., None]
    return np.asarray(colour + shade + grain + stripes, np.float32)


def _paint(crop: Bytes, cover: Cover, colour: npt.NDArray[np.float32], random: Random) -> Bytes:
    """The crop with the covered part painted over, its edge a little soft."""
    soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), random.uniform(0.4, 1.2))[..., None]
    mixed = crop * (1 - soft) + _texture(random, colour) * soft
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def _filled(points: npt.ArrayLike) -> Cover:
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.round(np.asarray(points)).astype(np.int32)], 1)
    return canvas.astype(bool)


def _ellipse(centre: npt.ArrayLike, axes: tuple[float, float], turn_deg: float = 0.0) -> Cover:
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    middle = tuple(int(value) for value in np.round(np.asarray(centre)))
    cv2.ellipse(canvas, middle, (max(1, int(axes[0])), max(1, int(axes[1]))), turn_deg, 0, 360, 1, -1)
    return canvas.astype(bool)


def mask(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A surgical or cloth mask, from the nose (sometimes below it) to the chin."""
    top = random.uniform(60, 74)
    rise = random.uniform(-4, 10)
    low = random.uniform(104, 118)
    wide = random.uniform(34, 46)
    middle = 56 + random.normal(0, 2)
    points = [
        (middle - wide, top + random.uniform(2, 12)),
        (middle - wide / 2, top + rise / 3),
        (middle, top - rise),
        (middle + wide / 2, top + rise / 3),
        (middle + wide, top + random.uniform(2, 12)),
        (middle + wide * random.uniform(0.6, 1), low),
        (middle, low + random.uniform(0, 10)),
        (middle - wide * random.uniform(0.6, 1), low),
    ]
    cover = _filled(points)
    usual = np.array(
        [[235, 238, 240], [150, 195, 220], [20, 20, 24], [240, 205, 215]][int(random.integers(4))], np.float32
    )
    return _paint(crop, cover, usual if random.random() < 0.6 else _colour(random), random), cover


def dark_glasses(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Glasses whose lenses hide the eyes."""
    size = (random.uniform(12, 20), random.uniform(8, 15))
    shift = random.normal(0, 1.5, 2)
    cover = _ellipse(_RIGHT_EYE + shift, size) | _ellipse(_LEFT_EYE + shift, size)
    if random.random() < 0.5:  # square lenses
        for eye in (_RIGHT_EYE + shift, _LEFT_EYE + shift):
            (x, y), (w, h) = eye, size
            cover |= _filled([(x - w, y - h), (x + w, y - h), (x + w * 0.8, y + h), (x - w * 0.8, y + h)])
    tint = np.full(3, random.uniform(0, 70), np.float32) + random.uniform(0, 30, 3).astype(np.float32)
    painted = _paint(crop, cover, tint, random)
    y = int(_RIGHT_EYE[1] - size[1] / 3)
    cv2.line(painted, (50, y), (62, y), tint.tolist(), int(random.integers(1, 4)))
    if random.random() < 0.4:  # a reflection
        gleam = cover & _ellipse(_RIGHT_EYE + random.normal(0, 8, 2), (random.uniform(3, 8), 3), random.uniform(0, 180))
        painted[gleam] = np.clip(painted[gleam].astype(np.int32) + int(random.integers(20, 120)), 0, 255).astype(
            np.uint8
        )
    return painted, cover


def hand(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A hand over mouth, nose or an eye: a palm and fingers in any skin tone, often near the face's own."""
    target = [_MOUTH, _NOSE, _RIGHT_EYE, _LEFT_EYE, (_NOSE + _MOUTH) / 2][int(random.integers(5))]
    centre = target + random.normal(0, 4, 2)
    turn = random.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    thick = random.uniform(7, 12)
    for finger in range(4):
        base = centre + across * (finger - 1.5) * thick * random.uniform(0.95, 1.15)
        tip = base + along * random.uniform(14, 30)
        cv2.line(canvas, tuple(map(int, base - along * 14)), tuple(map(int, tip)), 1, int(thick))
    cover = canvas.astype(bool) | _ellipse(centre - along * 26, (random.uniform(18, 26), random.uniform(16, 24)))
    own = np.median(crop[60:80, 35:75].reshape(-1, 3), axis=0).astype(np.float32)
    tone = own + random.normal(0, 12, 3).astype(np.float32) if random.random() < 0.6 else _skin(random)
    painted = _paint(crop, cover, tone, random)
    edges = cv2.morphologyEx(canvas, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)).astype(bool)
    painted[edges] = (painted[edges] * random.uniform(0.55, 0.9)).astype(np.uint8)
    return painted, cover


def patch(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """A phone, a sheet of paper, a microphone: some shape in some colour, anywhere on the face."""
    centre = random.uniform(25, 100, 2)
    axes = (random.uniform(8, 32), random.uniform(8, 32))
    if random.random() < 0.4:
        cover = _ellipse(centre, axes, random.uniform(0, 180))
    else:
        cover = _filled(cv2.boxPoints((tuple(map(float, centre)), (2 * axes[0], 2 * axes[1]), random.uniform(0, 180))))
    return _paint(crop, cover, _colour(random), random), cover


def scarf(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Cloth from below, up to the chin (which is allowed), the mouth or the nose."""
    edge = random.uniform(62, 112) + np.cumsum(random.normal(0, 1.2, 8))
    points = [*zip(np.linspace(-1, _SIDE, 8), edge, strict=True), (_SIDE, _SIDE), (-1, _SIDE)]
    cover = _filled(points)
    return _paint(crop, cover, _colour(random), random), cover


def hair(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """Hair or a cap from above, down to the brow (which is allowed) or over the eyes."""
    edge = random.uniform(18, 66) + np.cumsum(random.normal(0, 3, 10))
    points = [*zip(np.linspace(-1, _SIDE, 10), edge, strict=True), (_SIDE, -1), (-1, -1)]
    cover = _filled(points)
    tone = np.asarray(np.array([40, 28, 20]) * random.uniform(0.3, 4.5), np.float32)
    return _paint(crop, cover, tone if random.random() < 0.7 else _colour(random), random), cover


def clear_spectacles(crop: Bytes, random: Random) -> Bytes:
    """A frame around the eyes, lenses clear, perhaps with a weak reflection."""
    drawn = crop.copy()
    tone = _colour(random).tolist()
    size = (int(random.uniform(12, 18)), int(random.uniform(8, 13)))
    thick = int(random.integers(1, 4))
    for eye in (_RIGHT_EYE, _LEFT_EYE):
        x, y = (int(value) for value in np.round(eye + random.normal(0, 1, 2)))
        if random.random() < 0.5:
            cv2.ellipse(drawn, (x, y), size, 0, 0, 360, tone, thick, cv2.LINE_AA)
        else:
            cv2.rectangle(drawn, (x - size[0], y - size[1]), (x + size[0], y + size[1]), tone, thick, cv2.LINE_AA)
        if random.random() < 0.3:
            gleam = _ellipse((x, y), (size[0] - 2, size[1] - 2))[..., None] * random.uniform(0.05, 0.3)
            drawn = np.asarray(drawn * (1 - gleam) + 235 * gleam, np.uint8)
    cv2.line(drawn, (50, 50), (62, 50), tone, thick, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def shadow(crop: Bytes, random: Random) -> Bytes:
    """Light from one side, or little of it."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    turn = random.uniform(0, 2 * np.pi)
    slope = (columns - 0.5) * np.cos(turn) + (rows - 0.5) * np.sin(turn)
    light = random.uniform(0.35, 1.1) * (1 + random.uniform(0, 1.4) * slope)
    return np.asarray(np.clip(crop * light[..., None] ** random.uniform(0.7, 1.5), 0, 255), np.uint8)


def blur(crop: Bytes, random: Random) -> Bytes:
    """A photo out of focus, or strongly compressed."""
    soft = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.6, 2.2))
    _, packed = cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


OCCLUDERS: tuple[Callable[[Bytes, Random], tuple[Bytes, Cover]], ...] = (mask, dark_glasses, hand, patch, scarf, hair)
HARD_NEGATIVES: tuple[Callable[[Bytes, Random], Bytes], ...] = (clear_spectacles, shadow, blur)
