"""Photos to measure with: the pinned samples at the size wanted, or a folder of one's own.

Samples are enlarged and given the grain of a camera, so that they have the pixels that a photo of so many bytes has:
an enlarged photo alone is smooth, and would be all pixels and no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from daemon.errors import ConfigurationRefused
from daemon.records import Bytes
from tools.extraction import LIMITS, PHOTO_ENDINGS

_QUALITY = 92
"""JPEG quality as cameras and phones use it."""

_GRAIN = 3.0
"""Standard deviation of the noise that is added, of 255. With it, samples of 0.2 to 2 MB have 1.6 to 2.3 bits a pixel;
studio portraits of 1350 px have 1.4 to 3.0 (measured on the Face Research Lab London Set)."""

_GRAIN_PX = 512
"""Side of the noise, which is repeated: making it anew for 25 million pixels takes a second."""

_TOLERANCE = 0.03
_TRIES = 12
_PAIRS = (("obama", "obama2"), ("obama3", "biden"), ("biden", "obama2"), ("obama", "obama3"))
"""Mated and non-mated ones in turns."""


class Pair(NamedTuple):
    """Two photos to compare: their files' bytes, and a name for the pair."""

    name: str
    first: bytes
    second: bytes

    @property
    def kilobytes(self) -> float:
        """Mean size of both, in 1,000 bytes."""
        return (len(self.first) + len(self.second)) / 2000


def sized_pairs(samples: Mapping[str, bytes], sizes_kb: Sequence[int]) -> list[Pair]:
    """A pair of sample photos for each size.

    Args:
        samples: `tools.samples.sample_photos`.
        sizes_kb: of each photo, in 1,000 bytes.

    Raises:
        ConfigurationRefused: no photo of that size has the pixels allowed.
    """
    names = [_PAIRS[place % len(_PAIRS)] for place in range(len(sizes_kb))]
    return [
        Pair(f"{size} kB", *(resized(samples[name], size * 1000) for name in pair))
        for size, pair in zip(sizes_kb, names, strict=True)
    ]


def resized(photo: bytes, wanted_bytes: int) -> bytes:
    """The photo as a JPEG of about so many bytes, enlarged or reduced, with grain.

    Raises:
        ConfigurationRefused: it would need more pixels than are allowed.
    """
    bgr = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    most = LIMITS.max_side_px / max(bgr.shape[:2])
    scale, quality = min((wanted_bytes / len(photo)) ** 0.5, most), _QUALITY
    for _ in range(_TRIES):
        made = _encoded(bgr, scale, quality)
        ratio = wanted_bytes / len(made)
        if abs(ratio - 1) <= _TOLERANCE:
            return made
        if scale >= most and ratio > 1:  # all pixels that are allowed: the rest comes from quality
            quality = min(100, quality + 1)
        scale = min(most, scale * ratio**0.5)
    raise ConfigurationRefused(
        f"no JPEG of {wanted_bytes} bytes comes out of a sample photo; the nearest has {len(made)}",
        "Ask for photos of 30 kB to 5,000 kB, or name your own: --photos FOLDER",
    )


def _encoded(bgr: Bytes, scale: float, quality: int) -> bytes:
    size = (max(8, round(bgr.shape[1] * scale)), max(8, round(bgr.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    grain = np.random.default_rng(1).normal(0, _GRAIN, (_GRAIN_PX, _GRAIN_PX, 1)).round().astype(np.int16)
    noise = np.tile(grain, (size[1] // _GRAIN_PX + 1, size[0] // _GRAIN_PX + 1, 3))[: size[1], : size[0]]
    grained = cv2.add(cv2.resize(bgr, size, interpolation=how), noise, dtype=cv2.CV_8U)
    return bytes(cv2.imencode(".jpg", grained, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def folder_pairs(folder: Path, at_most: int) -> list[Pair]:
    """Pairs of the photos in a folder, in the order of their names: the first two, the next two.

    Raises:
        ConfigurationRefused: it has no two photos.
    """
    if not folder.is_dir():
        raise ConfigurationRefused(f"{folder} is no folder", "Name a folder with photos: --photos FOLDER")
    found = list(_photos_in(folder, 2 * at_most))
    if len(found) < 2:
        raise ConfigurationRefused(f"{folder} has {len(found)} photos, two are needed", "Name a folder with photos.")
    read = [path.read_bytes() for path in found]
    return [
        Pair(f"{one.name}, {other.name}", first, second)
        for one, other, first, second in zip(found[::2], found[1::2], read[::2], read[1::2], strict=False)
    ]


def _photos_in(folder: Path, at_most: int) -> Iterator[Path]:
    photos = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PHOTO_ENDINGS)
    return (path for _, path in zip(range(at_most), photos, strict=False))


def about(pairs: Sequence[Pair]) -> str:
    """What a set of photos is, in a few words."""
    sizes = [len(photo) / 1000 for pair in pairs for photo in (pair.first, pair.second)]
    sides = sorted(longer_side_px(photo) for pair in pairs for photo in (pair.first, pair.second))
    return f"{len(pairs)} pairs, {min(sizes):.0f} to {max(sizes):.0f} kB, longer side {sides[0]} to {sides[-1]} px"


def longer_side_px(photo: bytes) -> int:
    """The longer side of a photo, px."""
    grey = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    return int(max(grey.shape))
