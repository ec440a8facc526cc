"""Records: frozen, checked when made, silent about what is in them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daemon.records import REGIONS, Face, FaceCrop, Pixels, Portrait, SealedPhoto

VISIBLE = dict.fromkeys(REGIONS, 1.0)


def _zeros(*shape: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Pixels, (_zeros(4, 4, 4, dtype=np.uint8),)),
        (Pixels, (_zeros(4, 4, dtype=np.uint8),)),
        (Pixels, (_zeros(4, 4, 3),)),
        (Face, (_zeros(5), _zeros(5, 2), 1.0)),
        (Face, (_zeros(4), _zeros(4, 2), 1.0)),
        (Face, (_zeros(4, dtype=np.float64), _zeros(5, 2), 1.0)),
        (FaceCrop, (_zeros(111, 112, 3, dtype=np.uint8),)),
        (Portrait, (_zeros(1, 128), VISIBLE)),
        (Portrait, (_zeros(128, dtype=np.float64), VISIBLE)),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(kind: type, values: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        kind(*values)


def test_regions_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="expected regions"):
        Portrait(_zeros(128), dict(reversed(VISIBLE.items())))


@pytest.mark.parametrize(
    ("record", "array"),
    [
        (Pixels(_zeros(4, 4, 3, dtype=np.uint8)), "rgb"),
        (Face(_zeros(4), _zeros(5, 2), 1.0), "box"),
        (Face(_zeros(4), _zeros(5, 2), 1.0), "landmarks"),
        (FaceCrop(_zeros(112, 112, 3, dtype=np.uint8)), "rgb"),
        (Portrait(_zeros(128), VISIBLE), "embedding"),
    ],
)
def test_an_array_in_a_record_is_read_only(record: object, array: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(record, array)[0] = 1


def test_a_record_is_frozen() -> None:
    pixels = Pixels(_zeros(4, 4, 3, dtype=np.uint8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        pixels.rgb = _zeros(8, 8, 3, dtype=np.uint8)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (Pixels(np.full((4, 6, 3), 77, np.uint8)), "Pixels(6 x 4 px)"),
        (Face(np.full(4, 77, np.float32), np.full((5, 2), 77, np.float32), 0.5), "Face(confidence=0.50)"),
        (FaceCrop(np.full((112, 112, 3), 77, np.uint8)), "FaceCrop(112 x 112 px)"),
        (Portrait(np.full(128, 77, np.float32), VISIBLE), "Portrait(128 values)"),
        (SealedPhoto("first_encrypted_image", "secret"), "SealedPhoto(field='first_encrypted_image')"),
    ],
)
def test_a_record_shows_its_shape_only(record: object, shown: str) -> None:
    assert repr(record) == shown
