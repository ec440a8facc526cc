"""What changes a face and covers nothing: light, cameras, beards, make-up, hats, closed eyes."""

from __future__ import annotations

import cv2
import numpy as np

from daemon.records import Bytes, Floats
from tools.occluders.canvas import (
    LEFT_EYE,
    MOUTH,
    NOSE,
    RIGHT_EYE,
    SIDE,
    Cover,
    Random,
    any_colour,
    blend,
    ellipse,
    filled,
    one_of,
    paint,
    strokes,
)

_HAIRS = [[18, 14, 12], [45, 30, 22], [95, 62, 38], [150, 110, 70], [130, 130, 130], [205, 205, 205]]
"""Beards: black, browns, red, grey and white; RGB."""

_PAINTS = [[170, 20, 40], [200, 60, 90], [120, 20, 60], [60, 40, 30], [40, 60, 140], [90, 50, 120]]
"""Lipstick and eye shadow: reds, pink, brown, blue, violet; RGB."""


def shadow(crop: Bytes, random: Random) -> Bytes:
    """Light from one side, or little of it."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    turn = random.uniform(0, 2 * np.pi)
    slope = (columns - 0.5) * np.cos(turn) + (rows - 0.5) * np.sin(turn)
    light = np.clip(random.uniform(0.35, 1.1) * (1 + random.uniform(0, 1.4) * slope), 0.05, None)
    return np.asarray(np.clip(crop * light[..., None] ** random.uniform(0.7, 1.5), 0, 255), np.uint8)


def cast_shadow(crop: Bytes, random: Random) -> Bytes:
    """A shadow with an edge: a cap's over the eyes, or half the face in the dark."""
    if random.random() < 0.6:
        edge = random.uniform(50, 80) + np.cumsum(random.normal(0, 1.5, 8))
        dark = filled([*zip(np.linspace(-1, SIDE, 8), edge, strict=True), (SIDE, -1), (-1, -1)])
    else:
        edge = random.uniform(35, 75, 2)
        dark = filled([(-1, -1), (edge[0], -1), (edge[1], SIDE), (-1, SIDE)])
        dark = dark if random.random() < 0.5 else dark[:, ::-1]
    shade = _faded(dark, random.uniform(1, 6))
    return blend(crop, crop * random.uniform(0.3, 0.75), shade)


def blur(crop: Bytes, random: Random) -> Bytes:
    """A photo out of focus, or strongly compressed."""
    soft = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.6, 2.2))
    _, packed = cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def coarse(crop: Bytes, random: Random) -> Bytes:
    """A face that was small in the photo: 30 to 80 px."""
    side_px = int(random.integers(30, 80))
    small = cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def dim(crop: Bytes, random: Random) -> Bytes:
    """Low light or glare: darker or paler, with the camera's noise, perhaps grey or in a coloured light."""
    light = crop.astype(np.float32) * random.uniform(0.25, 1.1) + random.choice([0, 0, 60 * random.random()])
    if random.random() < 0.3:
        light = np.broadcast_to(light.mean(axis=2, keepdims=True), light.shape)
    tinted = light * random.uniform(0.8, 1.2, 3)
    return np.asarray(np.clip(tinted + random.normal(0, random.uniform(1, 14), crop.shape), 0, 255), np.uint8)


def beard(crop: Bytes, random: Random) -> Bytes:
    """A full beard, a goatee or a moustache around lips that stay to be seen, dense or thin."""
    area, kind = np.zeros((SIDE, SIDE), bool), random.random()
    if kind < 0.7:
        area |= ellipse((56, random.uniform(80, 86)), (random.uniform(14, 40), random.uniform(24, 34)))
        area[: int(random.uniform(76, 92))] = False
    if kind > 0.3:
        area |= ellipse((56, (NOSE[1] + MOUTH[1]) / 2 + 2), (random.uniform(12, 21), random.uniform(3, 6)))
    area &= ~ellipse(np.add(MOUTH, (0, 1)), (random.uniform(13, 19), random.uniform(3.5, 7)))
    hairs = strokes(
        np.stack([ends := random.uniform(30, SIDE, (400, 2)), ends + random.normal((0, 3), 2, (400, 2))], 1), 1
    )
    dense = _faded(area, random.uniform(0.8, 2.5))
    weight = dense * np.where(hairs, random.uniform(0.6, 1.0), random.uniform(0.15, 0.85))
    return blend(crop, one_of(random, _HAIRS), weight)


def make_up(crop: Bytes, random: Random) -> Bytes:
    """Painted lips, eye shadow, dark rings around the eyes."""
    drawn, kind = crop, random.random()
    if kind < 0.7:
        lips = ellipse(MOUTH, (random.uniform(14, 19), random.uniform(3, 6)))
        drawn = blend(drawn, one_of(random, _PAINTS), _faded(lips, 1.2) * random.uniform(0.3, 0.8))
    if kind > 0.3:
        lids = np.zeros((SIDE, SIDE), bool)
        for eye in (RIGHT_EYE, LEFT_EYE):
            lids |= ellipse(eye - (0, random.uniform(1, 5)), (random.uniform(9, 13), random.uniform(3, 6)))
            lids &= ~ellipse(np.add(eye, (0, 1)), (6, 2.5))
        drawn = blend(drawn, one_of(random, _PAINTS), _faded(lids, 1.5) * random.uniform(0.2, 0.75))
    return drawn


def closed_eyes(crop: Bytes, random: Random) -> Bytes:
    """Lids over both eyes, or one: skin of the cheek and a line of lashes."""
    drawn = crop
    lid: Floats = np.median(crop[60:70, 30:82].reshape(-1, 3), axis=0) * random.uniform(0.75, 1.0)
    for eye in (RIGHT_EYE, LEFT_EYE) if random.random() < 0.8 else (LEFT_EYE,):
        drawn = blend(drawn, lid, _faded(ellipse(eye, (random.uniform(8, 11), random.uniform(3.5, 6))), 1.0) * 0.95)
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        middle = (round(eye[0]), round(eye[1] - 1))
        cv2.ellipse(
            canvas, middle, (int(random.uniform(7, 10)), int(random.uniform(1, 4))), 0, 10, 170, 1, 1, cv2.LINE_AA
        )
        drawn = blend(drawn, np.full(3, 25.0), canvas * random.uniform(0.4, 0.9))
    return drawn


def hat(crop: Bytes, random: Random) -> Bytes:
    """A hat, a cap or a headscarf that ends above the eyes, perhaps with cloth beside the face."""
    edge = random.uniform(8, 34) + random.uniform(-5, 5) * np.linspace(-1, 1, 10) ** 2
    cover = filled([*zip(np.linspace(-1, SIDE, 10), edge, strict=True), (SIDE, -1), (-1, -1)])
    if random.random() < 0.3:
        cover = cover | ~ellipse((56, 70), (random.uniform(40, 52), random.uniform(48, 60)))
    return paint(crop, cover, any_colour(random), random)


def _faded(cover: Cover, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(cover.astype(np.float32), (0, 0), sigma_px), np.float32)
