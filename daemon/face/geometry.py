"""Similarity transforms, and warping a photo through one without aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from daemon.records import Bytes, Doubles

HALVED_FROM = 2.0

_FROM_HALF = np.array([(2.0, 0.0, 0.5), (0.0, 2.0, 0.5), (0.0, 0.0, 1.0)])
"""Places in a halved photo, as homogeneous points, to places in the photo. Pixel centres are at whole numbers: pixel i
of the half shows the photo's pixels around 2 i + 0.5."""


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Doubles:
    """The turn, scale and shift that bring one set of points closest to another.

    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE PAMI
    13(4), 1991, equations 40 to 42.

    Args:
        source: float (n, 2), x and y.
        target: float (n, 2), x and y.

    Returns:
        float64 (2, 3), maps a source point (x, y, 1) onto its target.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    left, spread, right = np.linalg.svd((b - mean_b).T @ (a - mean_a) / len(a))
    mirrored = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left @ np.diag(mirrored) @ right
    scale = float(spread @ mirrored / (a - mean_a).var(axis=0).sum())
    return np.column_stack([scale * turn, mean_b - scale * turn @ mean_a])


def square(centre: npt.ArrayLike, side: float, side_px: int) -> Doubles:
    """The shift and scale that bring a square of a photo onto a square of side_px.

    Args:
        centre: x and y in px of the photo.
        side: side of the square in px of the photo.
        side_px: side of the result.

    Returns:
        float64 (2, 3), maps a point (x, y, 1) of the photo onto the result.
    """
    scale = side_px / side
    shift = side_px / 2 - scale * np.asarray(centre, np.float64)
    return np.column_stack([np.eye(2) * scale, shift])


def apply(transform: Doubles, points: npt.ArrayLike) -> Doubles:
    """Points, float (..., 2), through a transform, float64 (2, 3): float64 (..., 2)."""
    return np.asarray(np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2], np.float64)


def inverse(transform: Doubles) -> Doubles:
    """The transform that undoes another; both float64 (2, 3)."""
    back = np.linalg.inv(transform[:, :2])
    return np.column_stack([back, -back @ transform[:, 2]])


def warp(rgb: Bytes, transform: Doubles, side_px: int) -> Bytes:
    """A square of a photo through a similarity transform; black beyond the photo's edge.

    Where the transform shrinks, the part that is seen is first halved as often as leaves at least what is wanted:
    bilinear sampling alone would skip pixels and turn hair and cloth into noise.

    Args:
        rgb: uint8 (height, width, 3), 0..255, RGB.
        transform: float64 (2, 3), photo to result.
        side_px: side of the result.

    Returns:
        uint8 (side_px, side_px, 3), 0..255, RGB.
    """
    shrink = 1 / np.sqrt(abs(np.linalg.det(transform[:, :2])))
    if shrink >= HALVED_FROM:
        rgb, transform = _seen(rgb, transform, side_px, shrink)
    while shrink >= HALVED_FROM and min(rgb.shape[:2]) >= 2:
        rgb, transform = halved(rgb), transform @ _FROM_HALF
        shrink /= 2
    return np.asarray(cv2.warpAffine(rgb, transform, (side_px, side_px), flags=cv2.INTER_LINEAR), np.uint8)


def resized(rgb: Bytes, size_px: tuple[int, int]) -> Bytes:
    """A whole photo in another width and height; shrinks as `warp` does."""
    while rgb.shape[1] >= HALVED_FROM * size_px[0] and min(rgb.shape[:2]) >= 2:
        rgb = halved(rgb)
    return np.asarray(cv2.resize(rgb, size_px, interpolation=cv2.INTER_LINEAR), np.uint8)


def halved(rgb: Bytes) -> Bytes:
    """The mean of each two by two pixels; the last row or column of an odd number is left out."""
    height, width = rgb.shape[:2]
    even = rgb[: height // 2 * 2, : width // 2 * 2]
    # OpenCV averages two by two pixels forty times as fast as by any other number.
    return np.asarray(cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)


def _seen(rgb: Bytes, transform: Doubles, side_px: int, margin: float) -> tuple[Bytes, Doubles]:
    """The part of a photo that a transform shows, with a margin in px, and the transform from there."""
    corners = apply(inverse(transform), [(0, 0), (side_px, 0), (0, side_px), (side_px, side_px)])
    height, width = rgb.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0) - margin), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0) + margin), (left + 1, top + 1), (width, height)).astype(int)
    part = rgb[top:bottom, left:right]
    return part, np.column_stack([transform[:, :2], apply(transform, (left, top))])
