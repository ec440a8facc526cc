"""Examples say truly what shows of each region, mirror it rightly, and repeat from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.records import REGIONS, Bytes, Floats
from tools.occlusion_examples import drawn_on, region_masks, seen_again

ALL = np.ones(4, np.float32)
SEEDS = range(80)


@pytest.fixture(scope="module")
def crop() -> Bytes:
    """Noise in the colours of skin."""
    return np.random.default_rng(0).integers(60, 200, (112, 112, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("region", "x", "y"),
    # Source: where ArcFace's alignment puts the landmarks in 112 x 112 px; the subject's left is the crop's right.
    [("left_eye", 73.5, 51.5), ("right_eye", 38.3, 51.7), ("nose", 56.0, 70.7), ("mouth", 56.1, 92.3)],
)
def test_a_region_lies_around_its_landmark(region: str, x: float, y: float) -> None:
    mask = region_masks()[REGIONS.index(region)]
    rows, columns = np.mgrid[:112, :112] + 0.5
    assert mask.sum() == pytest.approx(1, rel=1e-5)
    assert (mask * columns).sum() == pytest.approx(x, abs=1.0)
    assert (mask * rows).sum() == pytest.approx(y, abs=1.0)


def test_no_pixel_belongs_to_two_regions() -> None:
    assert (region_masks() > 0).sum(axis=0).max() == 1


def test_examples_are_clean_or_covered_and_their_shares_are_shares(crop: Bytes) -> None:
    shares = np.stack([drawn_on(crop, ALL, np.random.default_rng(seed)).visible for seed in SEEDS])
    assert ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all()
    assert not np.isnan(shares[:, 2:]).any()  # only of eyes behind rims and reflections nobody can say
    assert 20 < (shares < 0.5).any(axis=1).sum() < 60
    assert 20 < (shares == 1).all(axis=1).sum() < 60


def test_an_example_repeats_from_its_seed_and_varies_with_it(crop: Bytes) -> None:
    first, again, other = (drawn_on(crop, ALL, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.crop, again.crop)
    np.testing.assert_array_equal(first.visible, again.visible)
    assert (first.crop != other.crop).any()


def test_a_face_seen_again_shows_what_it_showed_mirrored_or_not(crop: Bytes) -> None:
    shown = np.array([0, 1, np.nan, 0], np.float32)
    found = {tuple(seen_again(crop, shown, np.random.default_rng(seed)).visible[:2]) for seed in SEEDS}
    assert found == {(0, 1), (1, 0)}  # left and right change names in a mirror
    again = seen_again(crop, shown, np.random.default_rng(1)).visible
    np.testing.assert_array_equal(again[2:], shown[2:])


def _drawn(visible: Floats, crop: Bytes) -> Floats:
    return np.stack([drawn_on(crop, visible, np.random.default_rng(seed)).visible for seed in SEEDS])


def test_what_was_covered_stays_covered_whatever_is_drawn(crop: Bytes) -> None:
    assert (_drawn(np.array([1, 1, 0, 0], np.float32), crop)[:, 2:] == 0).all()


def test_what_was_unsure_stays_unsure_unless_it_is_drawn_over(crop: Bytes) -> None:
    unsure = _drawn(np.array([1, 1, 1, np.nan], np.float32), crop)[:, 3]
    plain = _drawn(ALL, crop)[:, 3]
    np.testing.assert_array_equal(np.isnan(unsure), plain > 0.3)
