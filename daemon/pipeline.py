"""One request in eight numbered steps; everything else is in the modules named like the steps.

Steps 1 to 5 run for both photos at the same time. Where both photos are refused, the refusal is photo one's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from daemon.audit import Stopwatch
from daemon.errors import RequestError, TryLater
from daemon.face.acquisition import Looks, acquire
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.face.quality import OcclusionGate
from daemon.face.recognition import Recogniser
from daemon.photo.decoder import REDUCTION_MAX, PhotoDecoder
from daemon.records import Portrait, SealedPhoto, Step, VerificationRequest
from daemon.score.calibration import Calibration
from daemon.score.comparison import compare
from daemon.sealed.opener import Opener


@dataclass(frozen=True, slots=True)
class Stages:
    """The makers of the steps that hold something: keys, limits, networks, thresholds, the calibration."""

    opener: Opener
    decoder: PhotoDecoder
    detector: FaceDetector
    recogniser: Recogniser
    occlusion_gate: OcclusionGate
    calibration: Calibration


class Pipeline:
    """Two sealed photos in, a verification score out."""

    def __init__(self, stages: Stages, executor: Executor) -> None:
        self._stages = stages
        self._executor = executor

    def verify(self, request: VerificationRequest, watch: Stopwatch) -> float:
        """The verification score, 0 to 1.

        Args:
            request: both sealed photos and what is asked of them.
            watch: keeps how long each step took.

        Raises:
            RequestError: photo one, else photo two, cannot be compared; `field` names which.
            TryLater: the process is ending.
            EngineRefused: the accelerator failed.
        """
        portraits, refused = self._portraits(request, watch)  # steps 1 to 5
        watch.run(Step.QUALITY, self._check_quality, request, portraits)  # 6
        for refusal in refused:  # only now: a covered face in photo one comes before any fault of photo two
            raise refusal
        cosine = watch.run(Step.COMPARE, compare, *portraits)  # 7
        return watch.run(Step.CALIBRATE, self._stages.calibration.score, cosine)  # 8

    def _portrait(self, request: VerificationRequest, photo: SealedPhoto, watch: Stopwatch, turns: _Turns) -> Portrait:
        """The face of one of the request's photos.

        Raises:
            RequestError: the photo cannot be compared; `field` names it.
        """
        stages = self._stages
        with _blaming(photo):
            with turns.of(photo):
                opened = watch.run(Step.OPEN, stages.opener.open, photo.text, request.sender)  # 1
            with opened as plain:
                looks = Looks(
                    watch.each(Step.DECODE, partial(stages.decoder.decode, plain, request.auto_rotate)),  # 2
                    watch.each(Step.DETECT, partial(stages.detector.find, auto_rotate=request.auto_rotate)),  # 3
                    watch.each(Step.DETECT, stages.detector.look_closer),
                )
                pixels, face = acquire(looks, stages.decoder.face_side_px, REDUCTION_MAX)
            crop = watch.run(Step.ALIGN, align, pixels, face)  # 4
            return watch.run(Step.EMBED, stages.recogniser.embed, [crop])[0]  # 5

    def _portraits(self, request: VerificationRequest, watch: Stopwatch) -> tuple[list[Portrait], list[RequestError]]:
        """The faces up to the first photo that is refused, and that refusal."""
        first, second = request.photos
        turns = _Turns(first, self._stages.opener.remembers)
        try:
            ahead = self._executor.submit(self._portrait, request, second, watch, turns)
        except RuntimeError:  # the process is ending: another one, or another device, can answer
            raise TryLater("stopping", 1) from None
        portraits: list[Portrait] = []
        try:
            portraits.append(self._portrait(request, first, watch, turns))
            portraits.append(ahead.result())
        except RequestError as refusal:
            return portraits, [refusal]
        finally:
            # Where photo one failed, photo two need not begin; where it has begun, its work still counts as this
            # request's: otherwise it would escape admission.
            if not ahead.cancel():
                wait([ahead])
        return portraits, []

    def _check_quality(self, request: VerificationRequest, portraits: Sequence[Portrait]) -> None:
        if request.check_quality:
            for photo, portrait in zip(request.photos, portraits, strict=False):  # portraits may be fewer
                with _blaming(photo):
                    self._stages.occlusion_gate.check(portrait)


class _Turns:
    """Who opens first: photo one, where it could be the same sealed photo as photo two, which opens only once.

    Args:
        first: photo one.
        count: whether turns count.
    """

    def __init__(self, first: SealedPhoto, count: bool) -> None:
        self._first = first
        self._first_has_opened = threading.Event()
        if not count:
            self._first_has_opened.set()

    @contextmanager
    def of(self, photo: SealedPhoto) -> Iterator[None]:
        """A photo's turn; the first one's comes at once, in the request's own thread."""
        if photo is not self._first:
            self._first_has_opened.wait()
        try:
            yield
        finally:
            self._first_has_opened.set()


@contextmanager
def _blaming(photo: SealedPhoto) -> Iterator[None]:
    """Name the photo in every refusal of the block."""
    try:
        yield
    except RequestError as refusal:
        refusal.field = photo.field
        raise
