"""One request in eight numbered steps; everything else is in the modules named like the steps.

Steps 1 to 4 run for both photos at the same time, step 5 for both faces as one batch. Where both photos are refused,
the refusal is photo one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from daemon.audit import Stopwatch
from daemon.errors import RequestError, TryLater
from daemon.face.acquisition import acquire
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.face.quality import OcclusionGate
from daemon.face.recognition import Recogniser
from daemon.photo.decoder import REDUCTION_MAX, PhotoDecoder
from daemon.records import FaceCrop, Portrait, SealedPhoto, Step, VerificationRequest
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
        crops, refused = self._crops(request, watch)  # steps 1 to 4
        portraits = watch.run(Step.EMBED, self._stages.recogniser.embed, crops)  # 5
        watch.run(Step.QUALITY, self._check_quality, request, portraits)  # 6
        for refusal in refused:  # only now: a covered face in photo one comes before any fault of photo two
            raise refusal
        cosine = watch.run(Step.COMPARE, compare, *portraits)  # 7
        return watch.run(Step.CALIBRATE, self._stages.calibration.score, cosine)  # 8

    def crop(self, request: VerificationRequest, photo: SealedPhoto, watch: Stopwatch) -> FaceCrop:
        """The aligned face of one of the request's photos.

        Raises:
            RequestError: the photo cannot be compared; `field` names it.
        """
        stages = self._stages
        with _blaming(photo):
            with watch.run(Step.OPEN, stages.opener.open, photo.text, request.sender) as plain:  # 1
                decode = watch.each(Step.DECODE, partial(stages.decoder.decode, plain, request.auto_rotate))  # 2
                detect = watch.each(Step.DETECT, partial(stages.detector.detect, auto_rotate=request.auto_rotate))  # 3
                pixels, face = acquire(decode, detect, stages.decoder.face_side_px, REDUCTION_MAX)
            return watch.run(Step.ALIGN, align, pixels, face)  # 4

    def _crops(self, request: VerificationRequest, watch: Stopwatch) -> tuple[list[FaceCrop], list[RequestError]]:
        """The faces up to the first photo that is refused, and that refusal."""
        first, second = request.photos
        try:
            ahead = self._executor.submit(self.crop, request, second, watch)
        except RuntimeError:  # the process is ending: another one, or another device, can answer
            raise TryLater("stopping", 1) from None
        crops: list[FaceCrop] = []
        try:
            crops.append(self.crop(request, first, watch))
            crops.append(ahead.result())
        except RequestError as refusal:
            return crops, [refusal]
        finally:
            # Where photo one failed, photo two need not begin; where it has begun, its work still counts as this
            # request's: otherwise it would escape admission.
            if not ahead.cancel():
                wait([ahead])
        return crops, []

    def _check_quality(self, request: VerificationRequest, portraits: Sequence[Portrait]) -> None:
        if request.check_quality:
            for photo, portrait in zip(request.photos, portraits, strict=False):  # portraits may be fewer
                with _blaming(photo):
                    self._stages.occlusion_gate.check(portrait)


@contextmanager
def _blaming(photo: SealedPhoto) -> Iterator[None]:
    """Name the photo in every refusal of the block."""
    try:
        yield
    except RequestError as refusal:
        refusal.field = photo.field
        raise
