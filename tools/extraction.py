"""Aligned faces of a labelled folder: one folder per identity, photos inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from daemon.config import ExifOrientation, PhotoLimits
from daemon.errors import ConfigurationRefused, RequestError
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.photo import PhotoDecoder
from daemon.records import FaceCrop
from tools.console import progress

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff")

_LIMITS = PhotoLimits(min_side_px=8, max_side_px=5000, max_bytes=5 << 20, exif_orientation=ExifOrientation.PARAMETER)
"""Source: the contract's table of photos; what is measured is what will be served."""


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """One photo of one person."""

    identity: str
    path: Path


def labelled_photos(folder: Path) -> list[LabelledPhoto]:
    """All photos of a folder with one folder per identity, in a fixed order.

    Raises:
        ConfigurationRefused: there is no such folder, or fewer than two identities in it.
    """
    if not folder.is_dir():
        raise ConfigurationRefused(f"{folder} is no folder", "Name a folder with one folder per identity.")
    photos = [
        LabelledPhoto(path.parent.name, path)
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in PHOTO_ENDINGS
    ]
    identities = {photo.identity for photo in photos}
    if len(identities) < 2:
        raise ConfigurationRefused(
            f"{folder} holds photos of {len(identities)} identities, at least 2 are needed",
            "Name a folder with one folder per identity, photos inside.",
        )
    return photos


def face_crop(path: Path, detector: FaceDetector) -> FaceCrop | None:
    """Steps 2 to 4 for a photo on disk; None is a failure to acquire."""
    try:
        pixels = PhotoDecoder(_LIMITS).decode(memoryview(path.read_bytes()), auto_rotate=False)
        return align(pixels, detector.detect(pixels, auto_rotate=False))
    except RequestError:
        return None


def face_crops(paths: Sequence[Path], detector: FaceDetector, threads: int) -> Iterator[FaceCrop | None]:
    """`face_crop` for many photos, in their order, with progress."""
    with ThreadPoolExecutor(threads) as pool:
        yield from progress(pool.map(lambda path: face_crop(path, detector), paths), len(paths), "faces")
