"""The yardstick: OpenCV's own pipeline, FaceDetectorYN and FaceRecognizerSF, over the networks as published.

As a plain user of OpenCV writes it: decode, detect in the whole photo, align, embed, match. Photos come unsealed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np

from daemon.errors import EngineRefused
from daemon.records import Bytes, Floats
from tools.benchmark.figures import Round
from tools.benchmark.photos import Pair
from tools.benchmark.subject import Order, Work, obey, run_round

FULL, SMALL, FULL_APART, SMALL_APART = "full", "640", "full, photos apart", "640, photos apart"
"""Works: the detector sees the photo as it is, or at 640 px; one photo after the other, or each in a thread."""

_SMALL_PX = 640
_START_PX = (320, 320)
_BOX_AND_LANDMARKS = 14
"""Values of a detected face that are pixels; the fifteenth is its score. Source: OpenCV, FaceDetectorYN::detect."""

_CONFIDENCE_MIN = 0.6
"""As in trt_engines/yunet/manifest.yaml; OpenCV's own 0.9 misses faces of more than 350 px in photos at full size."""

_REMEDY = "Measure with photos that show a face."


class OpenCv:
    """Detector and recogniser of one thread; neither may be used by two at once."""

    def __init__(self, detection: Path, recognition: Path) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(detection), "", _START_PX, _CONFIDENCE_MIN)
        self._recogniser = cv2.FaceRecognizerSF.create(str(recognition), "")

    def embedding(self, photo: bytes, long_side_px: int | None) -> tuple[Floats, dict[str, float]]:
        """The face's embedding as OpenCV makes it, float32 (1, 128), and milliseconds by step.

        Args:
            photo: the file's bytes.
            long_side_px: of the copy that the detector sees; None: the photo itself.

        Raises:
            EngineRefused: no face.
        """
        marks = [time.perf_counter()]
        bgr = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        marks.append(time.perf_counter())
        face = self._face(bgr, long_side_px)
        marks.append(time.perf_counter())
        crop = self._recogniser.alignCrop(bgr, face)
        marks.append(time.perf_counter())
        vector = np.asarray(self._recogniser.feature(crop), np.float32).copy()
        marks.append(time.perf_counter())
        names = ("decode", "detect", "align", "embed")
        return vector, {name: (end - start) * 1000 for name, start, end in zip(names, marks, marks[1:], strict=False)}

    def _face(self, bgr: Bytes, long_side_px: int | None) -> Floats:
        scale = 1.0 if long_side_px is None else min(1.0, long_side_px / max(bgr.shape[:2]))
        seen = bgr if scale == 1 else cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize((seen.shape[1], seen.shape[0]))
        faces = self._detector.detect(seen)[1]
        if faces is None:
            raise EngineRefused("OpenCV finds no face in a photo", _REMEDY)
        face = np.asarray(faces[0], np.float32).copy()
        face[:_BOX_AND_LANDMARKS] /= scale
        return face

    def cosine(self, first: Floats, second: Floats) -> float:
        """The comparison score."""
        return float(self._recogniser.match(first, second, cv2.FaceRecognizerSF_FR_COSINE))


class Yardstick:
    """OpenCV's pipeline for several clients, over given pairs.

    Args:
        detection, recognition: the networks as published, ONNX files.
        pairs: what is compared.
    """

    def __init__(self, detection: Path, recognition: Path, pairs: Sequence[Pair]) -> None:
        self._networks = (detection, recognition)
        self._pairs = pairs
        self._made: dict[tuple[int, int], OpenCv] = {}
        self._second = ThreadPoolExecutor(1)

    def works(self) -> dict[str, Work]:
        """Each way to compare, by name; what `photos apart` is for is one client at a time."""
        return {
            FULL: self._one_after_the_other(None),
            SMALL: self._one_after_the_other(_SMALL_PX),
            FULL_APART: self._apart(None),
            SMALL_APART: self._apart(_SMALL_PX),
        }

    def _of(self, client: int, photo: int) -> OpenCv:
        """Made when it is first asked for, which is in the warm-up."""
        if (client, photo) not in self._made:
            self._made[client, photo] = OpenCv(*self._networks)
        return self._made[client, photo]

    def _one_after_the_other(self, long_side_px: int | None) -> Work:
        def compare(client: int, pair: int) -> Mapping[str, float]:
            """One verification, in the calling thread."""
            opencv, photos = self._of(client, 0), self._pairs[pair]
            first, first_ms = opencv.embedding(photos.first, long_side_px)
            second, second_ms = opencv.embedding(photos.second, long_side_px)
            opencv.cosine(first, second)
            return {name: first_ms[name] + second_ms[name] for name in first_ms}

        return compare

    def _apart(self, long_side_px: int | None) -> Work:
        def compare(client: int, pair: int) -> Mapping[str, float]:
            """One verification, its photos at the same time."""
            photos, one, other = self._pairs[pair], self._of(client, 0), self._of(client, 1)
            ahead = self._second.submit(other.embedding, photos.second, long_side_px)
            first, first_ms = one.embedding(photos.first, long_side_px)
            second, second_ms = ahead.result()
            one.cosine(first, second)
            return {name: max(first_ms[name], second_ms[name]) for name in first_ms}

        return compare


def serve(connection: Connection, detection: Path, recognition: Path, pairs: Sequence[Pair]) -> None:
    """The process that measures OpenCV; see `obey`."""

    def make() -> Callable[[Order], Round]:
        """OpenCV, with its networks read."""
        works = Yardstick(detection, recognition, pairs).works()

        def answer(order: Order) -> Round:
            """One round."""
            cv2.setNumThreads(order.threads)
            return run_round(works[order.work], order)

        return answer

    obey(connection, make)
