"""The ways in which a photo can arrive that is not stored upright, made from one that is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from daemon.records import Bytes, Doubles

_JPEG_QUALITY = 95
"""Of the photos that are made; at this quality coding alone changes a comparison score by less than 0.01."""

_ORIENTATION_TAG, _SHORT = 0x0112, 3
"""Source: Exif 2.32, section 4.6.4, and TIFF 6.0, section 2."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of storing an upright photo.

    Attributes:
        name: for people.
        stored: from the upright photo's pixels to the stored ones, uint8 (height, width, 3).
        down: x and y of where the stored photo shows what is below in the upright one, each -1, 0 or 1.
        orientation: EXIF value that tells a reader how to show it, 1 to 8; none where nothing tells.
    """

    name: str
    stored: Callable[[Bytes], Bytes]
    down: tuple[int, int]
    orientation: int | None

    def photo(self, rgb: Bytes) -> bytes:
        """The photo stored this way, JPEG."""
        return jpeg(np.ascontiguousarray(self.stored(rgb)), self.orientation)

    def turned_right(self, landmarks: Doubles) -> bool:
        """Whether landmarks, (5, 2) in px of what a reader sees, say that the face is within 45 degrees of its way."""
        way = (landmarks[3] + landmarks[4] - landmarks[0] - landmarks[1]) @ (
            self.down if self.orientation is None else (0, 1)
        )
        return bool(way > np.linalg.norm(landmarks[3] + landmarks[4] - landmarks[0] - landmarks[1]) * np.sqrt(0.5))


UPRIGHT = Way("upright", lambda rgb: rgb, (0, 1), None)

TURNED = (
    Way("turned 90", lambda rgb: np.rot90(rgb, 1), (1, 0), None),
    Way("turned 180", lambda rgb: np.rot90(rgb, 2), (0, -1), None),
    Way("turned 270", lambda rgb: np.rot90(rgb, 3), (-1, 0), None),
)
"""Against the clock, and nothing says so."""

TAGGED = tuple(
    Way(f"EXIF {orientation}", stored, (0, 1), orientation)
    for orientation, stored in enumerate(
        (
            lambda rgb: rgb,
            lambda rgb: rgb[:, ::-1],
            lambda rgb: rgb[::-1, ::-1],
            lambda rgb: rgb[::-1],
            lambda rgb: rgb.transpose(1, 0, 2),
            lambda rgb: rgb.transpose(1, 0, 2)[::-1],
            lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
            lambda rgb: rgb.transpose(1, 0, 2)[:, ::-1],
        ),
        start=1,
    )
)
"""By what the standard says of the stored row 0 and column 0: value 6, for one, stores the visual right side as row 0
and the visual top as column 0. Source: Exif 2.32, section 4.6.4, tag Orientation."""


def jpeg(rgb: Bytes, orientation: int | None) -> bytes:
    """Pixels as a JPEG photo, with an EXIF orientation or without EXIF."""
    _, coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    photo = coded.tobytes()
    if orientation is None:
        return photo
    tags = struct.pack(">HHHIHHI", 1, _ORIENTATION_TAG, _SHORT, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + b"MM\0*" + struct.pack(">I", 8) + tags
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:]
