"""`fvctl turns`: does `auto_rotate` turn turned photos upright, and leave upright ones as they are?

Upright photos of a labelled folder are stored in every way a terminal may send them: turned by 90, 180 and 270 degrees
without a word of it, and with each of the eight EXIF orientations. Each is compared with the upright original.
The exit code is 1 where fewer than 99 % of a way's photos are turned right and score 0.9, or an upright one is turned.

    fvctl turns PHOTOS --count 1000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from daemon.app import load_networks, make_detector, make_recogniser
from daemon.config import Inference, load_config
from daemon.errors import DetectionFailed
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.face.recognition import Recogniser
from daemon.photo.decoder import PhotoDecoder
from daemon.records import Face, FaceCrop, Pixels, Portrait
from daemon.score.calibration import Calibration, load_calibration
from daemon.score.comparison import compare
from tools.console import NEEDS_DOING, OK, progress, show_rows
from tools.extraction import LIMITS, labelled_photos
from tools.orientations import TAGGED, TURNED, UPRIGHT, Way

_SCORE_MIN = 0.9
"""Verification score that a photo must reach against its upright original: 1 in 1,000,000 strangers does."""

_SHARE_MIN = 0.99
"""Of the photos of each way that must be turned right and reach it."""

WAYS = (UPRIGHT, *TURNED, *TAGGED)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of one photo stored one way."""

    turned_right: bool
    score: float
    detect_ms: float


class _Examiner:
    """Steps 2 to 8 for one photo and all ways of storing it."""

    def __init__(self, settings: Inference) -> None:
        networks = load_networks(settings)
        hashes = (networks.detection.model_hash, networks.recognition.model_hash)
        self._detector: FaceDetector = make_detector(networks)
        self._recogniser: Recogniser = make_recogniser(networks)
        self._calibration: Calibration = load_calibration(
            settings.networks / settings.recognition / "calibration.yaml", *hashes
        )
        self._decoder = PhotoDecoder(LIMITS)

    def examine(self, path: Path) -> list[_Seen] | None:
        """One answer per way, after one for the upright photo without auto_rotate; none where it shows no face."""
        upright = self._decoder.decode(memoryview(path.read_bytes()), auto_rotate=False)
        try:
            face, plain_ms = self._detect(upright, auto_rotate=False)
        except DetectionFailed:
            return None
        (original,) = self._recogniser.embed([align(upright, face)])
        plain = _Seen(UPRIGHT.turned_right(face.landmarks.astype(np.float64)), 1.0, plain_ms)
        return [plain, *(self._stored(way, upright, original) for way in WAYS)]

    def _stored(self, way: Way, upright: Pixels, original: Portrait) -> _Seen:
        pixels = self._decoder.decode(memoryview(way.photo(upright.rgb)), auto_rotate=True)
        try:
            face, detect_ms = self._detect(pixels, auto_rotate=True)
        except DetectionFailed:
            return _Seen(turned_right=False, score=0.0, detect_ms=0.0)
        crop: FaceCrop = align(pixels, face)
        (portrait,) = self._recogniser.embed([crop])
        score = self._calibration.score(compare(original, portrait))
        return _Seen(way.turned_right(face.landmarks.astype(np.float64)), score, detect_ms)

    def _detect(self, pixels: Pixels, auto_rotate: bool) -> tuple[Face, float]:
        start = time.perf_counter()
        face = self._detector.detect(pixels, auto_rotate)
        return face, 1e3 * (time.perf_counter() - start)


def run(args: argparse.Namespace) -> int:
    """Measure, and say for each way how many photos came out right."""
    cv2.setNumThreads(1)
    photos = [photo.path for photo in labelled_photos(args.photos)]
    sample = photos[:: max(1, len(photos) // args.count)][: args.count]
    examiner = _Examiner(load_config(args.config).inference)
    with ThreadPoolExecutor(args.threads) as pool:
        found = list(progress(pool.map(examiner.examine, sample), len(sample), "photos"))
    rows = _rows([seen for seen in found if seen is not None])
    show_rows(rows, args.json)
    return NEEDS_DOING if any(row["verdict"] != "holds" for row in rows) else OK


def _rows(found: Sequence[Sequence[_Seen]]) -> list[dict[str, Any]]:
    """One row per way: the upright photo without auto_rotate first."""
    rows = []
    for name, seen in zip(
        ("upright, not asked for", *(way.name for way in WAYS)), zip(*found, strict=True), strict=True
    ):
        right = sum(one.turned_right for one in seen)
        alike = sum(one.turned_right and one.score >= _SCORE_MIN for one in seen)
        least = len(seen) if name.startswith(UPRIGHT.name) else _SHARE_MIN * len(seen)
        rows.append(
            {
                "stored": name,
                "photos": len(seen),
                "turned_right": right,
                f"score_{_SCORE_MIN}": alike,
                "detect_ms": round(float(np.median([one.detect_ms for one in seen])), 1),
                "verdict": "holds" if alike >= least else "too few",
            }
        )
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity, upright photos inside")
    parser.add_argument("--count", type=int, default=1000, help="photos at most, spread over the folder")
    parser.add_argument("--threads", type=int, default=1, help="more than one is faster, and its times say less")
