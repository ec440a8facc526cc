"""Pixels as a network wants them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from daemon.face.network import as_batch
from daemon.manifest import Preprocessing


def _pixel(order: Literal["RGB", "BGR"], offset: float, scale: float) -> list[float]:
    batch = as_batch(np.full((1, 2, 3, 3), (10, 20, 30), np.uint8), Preprocessing(order, offset, scale))
    return [float(value) for value in batch[0, :, 1, 2]]


def test_rgb_stays_rgb() -> None:
    assert _pixel("RGB", 0.0, 1.0) == [10, 20, 30]


def test_bgr_is_swapped() -> None:
    assert _pixel("BGR", 0.0, 1.0) == [30, 20, 10]


def test_the_offset_is_taken_off_before_scaling() -> None:
    assert _pixel("RGB", 10.0, 0.5) == [0, 5, 10]


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_a_batch_is_contiguous_float32_with_channels_first(order: Literal["RGB", "BGR"]) -> None:
    batch = as_batch(np.zeros((2, 4, 6, 3), np.uint8), Preprocessing(order, 0.0, 1.0))
    assert batch.shape == (2, 3, 4, 6)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
