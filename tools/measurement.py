"""Embeddings of a labelled set by the loaded networks, kept so that an interrupted measurement goes on."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from daemon.app import Networks, load_networks, make_detector, make_recogniser
from daemon.config import Inference
from daemon.errors import ConfigurationRefused
from daemon.face.detection import FaceDetector
from daemon.face.recognition import Recogniser
from daemon.records import Floats
from tools.console import progress
from tools.error_rates import Labels
from tools.extraction import LabelledPhoto, face_crop
from tools.whole_file import write_whole

_CHUNK = 128
"""Photos whose embeddings are kept together; at most so many are done again after an interruption."""

_BATCH = 16
"""Faces embedded at once. Source: the largest batch of the profile in trt_engines/sface/manifest.yaml."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A labelled set as the networks see it.

    Attributes:
        embeddings: float32 (n, d), rows of length 1.
        photos: the photo of each row.
        failures: photos in which no face was found, or that are no photos.
        hashes: model hashes of the detection and the recognition network.
    """

    embeddings: Floats
    photos: tuple[LabelledPhoto, ...]
    failures: tuple[Path, ...]
    hashes: tuple[str, str]

    @property
    def identities(self) -> Labels:
        """Number of each row's identity, intp (n,)."""
        return np.unique([photo.identity for photo in self.photos], return_inverse=True)[1].astype(np.intp)


def measure(photos: Sequence[LabelledPhoto], settings: Inference, work: Path, threads: int) -> Measured:
    """Detect, align and embed every photo.

    Args:
        photos: the labelled set.
        settings: which networks, on what.
        work: folder that keeps what is done; a second run over the same set reads it from there.
        threads: photos worked on at the same time.

    Raises:
        ConfigurationRefused: a photo cannot be read, or no two photos have a face.
    """
    cv2.setNumThreads(1)
    networks = load_networks(settings)
    hashes = (networks.detection.model_hash, networks.recognition.model_hash)
    chunks = [photos[start : start + _CHUNK] for start in range(0, len(photos), _CHUNK)]
    work.mkdir(parents=True, exist_ok=True)
    extractor = _Extractor(networks, threads)
    kept = [extractor.chunk(chunk, work, hashes) for chunk in progress(chunks, len(chunks), f"sets of {_CHUNK} photos")]
    width = max(rows.shape[1] for rows in kept)
    rows = np.concatenate([rows if rows.shape[1] == width else np.full((len(rows), width), np.nan) for rows in kept])
    found = ~np.isnan(rows[:, 0])
    if np.count_nonzero(found) < 2:
        raise ConfigurationRefused(f"faces were found in {np.count_nonzero(found)} photos", "Name photos with faces.")
    acquired = tuple(photo for photo, there in zip(photos, found, strict=True) if there)
    failures = tuple(photo.path for photo, there in zip(photos, found, strict=True) if not there)
    return Measured(rows[found], acquired, failures, hashes)


class _Extractor:
    """Embeds chunk after chunk, or reads a chunk that is done."""

    def __init__(self, networks: Networks, threads: int) -> None:
        self._detector: FaceDetector = make_detector(networks)
        self._recogniser: Recogniser = make_recogniser(networks)
        self._threads = threads

    def chunk(self, photos: Sequence[LabelledPhoto], work: Path, hashes: tuple[str, str]) -> Floats:
        """One row per photo, float32 (n, d); a row of NaN is a failure to acquire."""
        name = hashlib.sha256("\n".join([*hashes, *map(_state, photos)]).encode()).hexdigest()
        kept = work / f"{name}.npy"
        if kept.is_file():
            return np.asarray(np.load(kept, allow_pickle=False), np.float32)
        rows = self._embed(photos)
        saved = io.BytesIO()
        np.save(saved, rows)
        write_whole(kept, saved.getvalue())
        return rows

    def _embed(self, photos: Sequence[LabelledPhoto]) -> Floats:
        with ThreadPoolExecutor(self._threads) as pool:
            crops = list(pool.map(lambda photo: face_crop(photo.path, self._detector), photos))
            faces = [crop for crop in crops if crop is not None]
            batches = [faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH)]
            portraits = itertools.chain.from_iterable(pool.map(self._recogniser.embed, batches))
            vectors = [portrait.embedding for portrait in portraits]
        rows = np.full((len(photos), len(vectors[0]) if vectors else 1), np.nan, np.float32)
        if vectors:
            rows[[place for place, crop in enumerate(crops) if crop is not None]] = np.stack(vectors)
        return rows


def _state(photo: LabelledPhoto) -> str:
    """What tells a photo from a changed one: its path, size and time of change."""
    there = os.stat(photo.path)
    return f"{photo.path.resolve()} {there.st_size} {there.st_mtime_ns}"
