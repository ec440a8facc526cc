"""Step 4, align: the face turned, scaled and shifted to where the recognition network was taught to look."""

from __future__ import annotations

from daemon.face.geometry import similarity, warp
from daemon.records import CROP_SIZE_PX, Face, FaceCrop, Pixels

PLACES = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where the five landmarks belong in a 112 x 112 crop, x and y in px, in the order of `Face.landmarks`.

Source: the alignment of ArcFace (J. Deng et al., CVPR 2019; insightface, `face_align.py`), which SFace was trained
with.
"""


def align(pixels: Pixels, face: Face) -> FaceCrop:
    """The aligned face.

    Args:
        pixels: the photo.
        face: the face, in px of that photo; may be turned, the crop is upright all the same.
    """
    return FaceCrop(warp(pixels.rgb, similarity(face.landmarks, PLACES), CROP_SIZE_PX))
