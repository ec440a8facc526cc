"""Draws what covers faces, and what only looks like it, onto aligned crops of 112 x 112 px.

Everything is drawn by us from a seeded random generator. An occluder returns the crop and where it covers; a hard
negative changes the crop and covers nothing.

canvas    colours, textures, shapes
masks     masks and scarves
frames    glasses as shapes
glasses   dark glasses, and clear spectacles
hands     hands
things    phones, paper, microphones, patches, hair
looks     light, cameras, beards, make-up, closed eyes, hats
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.records import Bytes
from tools.occluders.canvas import Cover, Random
from tools.occluders.glasses import clear_spectacles, dark_glasses
from tools.occluders.hands import hand
from tools.occluders.looks import beard, blur, cast_shadow, closed_eyes, coarse, dim, hat, make_up, shadow
from tools.occluders.masks import mask, scarf
from tools.occluders.things import hair, microphone, paper, patch, phone

OCCLUDERS: tuple[Callable[[Bytes, Random], tuple[Bytes, Cover]], ...] = (
    mask,
    dark_glasses,
    hand,
    scarf,
    hair,
    microphone,
    patch,
    phone,
    paper,
)
FACES: tuple[Callable[[Bytes, Random], Bytes], ...] = (beard, make_up, closed_eyes, hat)
"""Hard negatives that are part of the face or worn on it, as clear spectacles are; an occluder may come over them."""
CAMERAS: tuple[Callable[[Bytes, Random], Bytes], ...] = (shadow, cast_shadow, blur, coarse, dim)
"""Hard negatives that come from light and camera, over everything else."""
HARD_NEGATIVES = (clear_spectacles, *FACES, *CAMERAS)
