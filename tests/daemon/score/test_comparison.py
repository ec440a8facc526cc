"""The comparison score: a cosine, the same in either order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.records import REGIONS, Portrait
from daemon.score.comparison import compare


def _portrait(*values: float) -> Portrait:
    vector = np.array(values, np.float32)
    return Portrait((vector / np.linalg.norm(vector)).astype(np.float32), dict.fromkeys(REGIONS, 1.0))


@pytest.mark.parametrize(
    ("first", "second", "cosine"),
    [
        ((1.0, 0.0), (1.0, 0.0), 1.0),
        ((1.0, 0.0), (0.0, 1.0), 0.0),
        ((1.0, 0.0), (-1.0, 0.0), -1.0),
        ((1.0, 0.0), (1.0, 1.0), math.sqrt(0.5)),  # 45 degrees
        ((3.0, 4.0), (4.0, 3.0), 0.96),  # (12 + 12) / 25
    ],
)
def test_the_score_is_the_cosine_of_the_angle(
    first: tuple[float, ...], second: tuple[float, ...], cosine: float
) -> None:
    assert compare(_portrait(*first), _portrait(*second)) == pytest.approx(cosine, abs=1e-7)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_photos_does_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (_portrait(*random.normal(size=128)) for _ in range(2))
    assert compare(first, second) == compare(second, first)


@given(st.integers(0, 2**32 - 1))
def test_rounding_never_leaves_the_range(seed: int) -> None:
    vector = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    vector *= np.float32(1.0001) / np.linalg.norm(vector)  # as float32 rounding would, only more
    same = Portrait(vector.copy(), dict.fromkeys(REGIONS, 1.0))
    opposite = Portrait(-vector, dict.fromkeys(REGIONS, 1.0))
    assert (compare(same, same), compare(same, opposite)) == (1.0, -1.0)
