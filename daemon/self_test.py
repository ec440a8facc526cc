"""Proves that the device computes what it should: before it serves, and whenever somebody asks.

Two known photos are inside the detector's golden vectors, which every engine has: they go through steps 3 to 8 as those
of a request do. A photo and its mirror image show one person; the two photos show two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from daemon.errors import EngineRefused, RequestError
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.face.recognition import Recogniser
from daemon.inference.golden import golden_batch
from daemon.inference.network import OnnxNetwork
from daemon.records import Pixels
from daemon.score.calibration import Calibration
from daemon.score.comparison import compare

MATED_ABOVE = 0.7
"""Source: the contract, section 4: "greater than 0.7" is recommended."""

NON_MATED_BELOW = 0.5
"""The score that one stranger in a hundred reaches. Source: the contract's table of thresholds."""

_REMEDY = "Run: fvctl engines build; if it stays, send the output of fvctl selftest --json to support."


@dataclass(frozen=True, slots=True)
class KnownPhotos:
    """Decoded photos.

    Attributes:
        first: somebody.
        mirrored: the same, mirrored.
        second: somebody else.
    """

    first: Pixels
    mirrored: Pixels
    second: Pixels


@dataclass(frozen=True, slots=True)
class KnownScores:
    """Verification scores of the known photos.

    Attributes:
        mated: of a photo and its mirror image.
        non_mated: of both photos.
    """

    mated: float
    non_mated: float

    @property
    def right(self) -> bool:
        """Whether they say what the photos show."""
        return self.mated > MATED_ABOVE and 0 <= self.non_mated < NON_MATED_BELOW

    def __str__(self) -> str:
        """Both, with what they must be."""
        return (
            f"the mated pair scores {self.mated:.4f} (above {MATED_ABOVE} is right), the non-mated pair "
            f"{self.non_mated:.4f} (below {NON_MATED_BELOW})"
        )


Scores = Callable[[KnownPhotos], KnownScores]


def known_photos(detection: OnnxNetwork) -> KnownPhotos:
    """The photos in a detector's golden vectors.

    Raises:
        EngineRefused: there are none.
    """
    if detection.golden is None:
        raise EngineRefused(f"network {detection.manifest.name} has no golden vectors", _REMEDY)
    batch = golden_batch(detection.golden)
    ready = detection.manifest.preprocessing
    seen = np.clip(np.rint(batch / ready.scale + ready.offset), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    rgb = seen[..., ::-1] if ready.colour_order == "BGR" else seen
    return KnownPhotos(*(Pixels(np.ascontiguousarray(photo)) for photo in (rgb[0], rgb[0][:, ::-1], rgb[1])))


def known_scores(detector: FaceDetector, recogniser: Recogniser, calibration: Calibration) -> Scores:
    """Gives the scores that the device makes of known photos now; may raise what a request raises."""

    def scores(photos: KnownPhotos) -> KnownScores:
        """Their verification scores."""
        mated = (photos.first, photos.mirrored)
        crops = [align(pixels, detector.detect(pixels, auto_rotate=False)) for pixels in (*mated, photos.second)]
        first, mirrored = recogniser.embed(crops[:2])
        (second,) = recogniser.embed(crops[2:])
        return KnownScores(calibration.score(compare(first, mirrored)), calibration.score(compare(first, second)))

    return scores


def prove(scores: Scores, photos: KnownPhotos) -> KnownScores:
    """The scores of the known photos, where they are right.

    Raises:
        EngineRefused: they are not, or a photo is refused.
    """
    try:
        found = scores(photos)
    except RequestError as error:
        raise EngineRefused(f"the known photos are refused: {error}", _REMEDY) from None
    if not found.right:
        raise EngineRefused(f"the known photos get wrong scores: {found}", _REMEDY)
    return found
