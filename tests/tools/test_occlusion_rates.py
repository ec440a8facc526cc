"""Refusal rates: counted by what should happen, with intervals from tables."""

from __future__ import annotations

import numpy as np
import pytest

from tools.occlusion_rates import Judged, interval, refusal_rates


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # Source: R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17,
    # 1998, table I, method 3 (Wilson's score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_an_interval_is_the_published_one(count: int, of: int, low: float, high: float) -> None:
    assert interval(count, of) == pytest.approx((low, high), abs=5e-5)


def test_faces_are_counted_by_kind_and_by_what_should_happen() -> None:
    visible = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0.5], [1, 1, 1, np.nan]], np.float32)
    found = np.array([[1, 1, 1, 1], [0.4, 1, 1, 1], [1, 1, 1, 0.4], [1, 1, 1, 0.4], [1, 1, 1, 0.4]], np.float32)
    rows = refusal_rates(Judged(["plain", "plain", "hand", "hand", "hand"], visible, found), [0.5] * 4)
    # Half covered and unsure ones count nowhere.
    assert [(row["faces"], row["should_be"], row["count"], row["refused"]) for row in rows] == [
        ("hand", "refused", 1, 1),
        ("plain", "passed", 2, 1),
    ]
    assert rows[1]["rate"] == "50.00%"


def test_what_other_thresholds_would_refuse_stands_beside_it() -> None:
    found = np.array([[1, 1, 1, share] for share in (0.35, 0.45, 0.55, 0.65)], np.float32)
    (row,) = refusal_rates(Judged(["plain"] * 4, np.ones((4, 4), np.float32), found), [0.5] * 4)
    assert (row["at_-0.1"], row["refused"], row["at_+0.1"]) == (1, 2, 3)


def test_a_region_at_its_threshold_passes() -> None:
    ones = np.ones((1, 4), np.float32)
    (row,) = refusal_rates(Judged(["plain"], ones, ones * np.float32(0.5)), [0.5] * 4)
    assert row["refused"] == 0
