"""What the stages of the pipeline hand to each other.

Every record is frozen and checks shape and type when made; arrays in it are read-only. What is biometric shows its
shape only, so that a log line or a traceback never holds a face.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

CROP_SIZE_PX = 112
"""Side of an aligned face. Source: SFace's input `data`; other networks aligned like ArcFace have the same."""

REGIONS = ("left_eye", "right_eye", "nose", "mouth")
"""Regions of a face whose visibility is measured, left and right as the subject has them."""


class Step(str, Enum):
    """The eight steps of a request, in order; logs, metrics and Server-Timing use these names."""

    OPEN = "open"
    DECODE = "decode"
    DETECT = "detect"
    ALIGN = "align"
    EMBED = "embed"
    QUALITY = "quality"
    COMPARE = "compare"
    CALIBRATE = "calibrate"


def _checked(array: npt.NDArray[np.generic], dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> None:
    fits = len(shape) == array.ndim and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype != np.dtype(dtype) or not fits:
        raise ValueError(f"expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")
    array.flags.writeable = False


@dataclass(frozen=True, slots=True)
class SealedPhoto:
    """One photo as the terminal sent it.

    Attributes:
        field: wire name of the parameter that held it, for X-Error-Field.
        text: the sealed photo; not secret, but long.
    """

    field: str
    text: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """The terminal that asks, as far as opening its photos depends on it.

    Attributes:
        name: the terminal's; symmetric keys belong to one terminal.
        legacy: whether the legacy format opens for it today.
    """

    name: str
    legacy: bool


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """Everything one verification needs.

    Attributes:
        sender: who asks.
        photos: photo one and photo two, in the contract's order.
        auto_rotate: look for an upright face in turned photos too.
        check_quality: refuse a face whose eyes, nose or mouth are covered.
    """

    sender: Sender
    photos: tuple[SealedPhoto, SealedPhoto]
    auto_rotate: bool
    check_quality: bool


@dataclass(frozen=True, slots=True, repr=False)
class Pixels:
    """A decoded photo.

    Attributes:
        rgb: uint8 (height, width, 3), 0..255, RGB.
        reduction: how many times smaller than the photo each side is.
    """

    rgb: Bytes
    reduction: int = 1

    def __post_init__(self) -> None:
        _checked(self.rgb, np.uint8, (None, None, 3))

    def __repr__(self) -> str:
        return f"Pixels({self.rgb.shape[1]} x {self.rgb.shape[0]} px)"


@dataclass(frozen=True, slots=True, repr=False)
class Face:
    """The face that is compared, in pixels of the photo as it was decoded.

    Attributes:
        box: float32 (4,): left, top, width, height in px; may reach beyond the photo.
        landmarks: float32 (5, 2): x, y in px of right eye, left eye, nose tip, right and left mouth corner, the
            subject's right and left.
        confidence: detector's score, 0 to 1.
    """

    box: Floats
    landmarks: Floats
    confidence: float

    def __post_init__(self) -> None:
        _checked(self.box, np.float32, (4,))
        _checked(self.landmarks, np.float32, (5, 2))

    def __repr__(self) -> str:
        return f"Face(confidence={self.confidence:.2f})"


@dataclass(frozen=True, slots=True, repr=False)
class FaceCrop:
    """An aligned face.

    Attributes:
        rgb: uint8 (112, 112, 3), 0..255, RGB, eyes level.
    """

    rgb: Bytes

    def __post_init__(self) -> None:
        _checked(self.rgb, np.uint8, (CROP_SIZE_PX, CROP_SIZE_PX, 3))

    def __repr__(self) -> str:
        return "FaceCrop(112 x 112 px)"


@dataclass(frozen=True, slots=True, repr=False)
class Portrait:
    """What the recognition network says of one face.

    Attributes:
        embedding: float32 (n,), length 1; n is 128 for SFace.
        visible: share of each region that is not covered, 0 to 1, keys as in REGIONS.
    """

    embedding: Floats
    visible: Mapping[str, float]

    def __post_init__(self) -> None:
        _checked(self.embedding, np.float32, (None,))
        if tuple(self.visible) != REGIONS:
            raise ValueError(f"expected regions {REGIONS}, got {tuple(self.visible)}")

    def __repr__(self) -> str:
        return f"Portrait({self.embedding.size} values)"
