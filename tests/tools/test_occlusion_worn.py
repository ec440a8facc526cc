"""What one face wears is seen on another, covers there what it covered, and repeats from a seed."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.records import Bytes
from tools.occlusion_worn import Worn, can_be_worn, worn

ALL = np.ones(4, np.float32)
SEEDS = range(40)
# Visible: left eye, right eye, nose, mouth.
DARK = np.array([0, 0, 1, 1], np.float32)
MASK = np.array([1, 1, 0, 0], np.float32)
PLACES = (np.s_[48:56, 30:82], np.s_[88:96, 40:72])
"""Rows and columns of the eyes and the mouth."""


def plain(level: int) -> Bytes:
    """A crop of one grey with a little noise."""
    return np.clip(np.random.default_rng(level).normal(level, 6, (112, 112, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def dark_glasses() -> Worn:
    """A face as light as the one it is put on, black where eyes are: rows 40 to 64."""
    crop = plain(150)
    crop[40:64] = 0
    return Worn(crop, DARK, "dark glasses")


@pytest.fixture(scope="module")
def mask() -> Worn:
    """The same in white from the nose down."""
    crop = plain(150)
    crop[66:] = 255
    return Worn(crop, MASK, "mask")


@pytest.mark.parametrize(
    ("shows", "can"),
    [("dark glasses", True), ("spectacles", True), ("mask", True), ("tinted glasses", False), ("nothing", False)],
)
def test_only_what_surely_hides_or_shows_can_be_worn(shows: str, can: bool) -> None:
    assert can_be_worn(shows) is can


def test_dark_glasses_cover_both_eyes_and_leave_nose_and_mouth_as_they_were(dark_glasses: Worn) -> None:
    half = np.array([1, 1, 1, 0.5], np.float32)
    for seed in SEEDS:
        example = worn(plain(140), half, np.random.default_rng(seed), [dark_glasses])
        np.testing.assert_array_equal(example.visible, [0, 0, 1, 0.5])


def test_a_mask_covers_nose_and_mouth_and_leaves_the_eyes_as_they_were(mask: Worn) -> None:
    np.testing.assert_array_equal(worn(plain(140), ALL, np.random.default_rng(1), [mask]).visible, MASK)


def test_what_is_worn_is_seen_where_it_is_worn_and_nowhere_else(dark_glasses: Worn, mask: Worn) -> None:
    for one, eyes_change in ((dark_glasses, True), (mask, False)):
        drawn = [worn(plain(140), ALL, np.random.default_rng(seed), [one]).crop.astype(float) for seed in SEEDS]
        # Against the brow, so that light and camera, which change the whole crop, do not count.
        eyes, mouth = (np.median([abs(crop[at].mean() - crop[28:32].mean()) for crop in drawn]) for at in PLACES)
        assert bool(eyes > 40) is eyes_change
        assert bool(mouth > 40) is not eyes_change


def test_an_example_repeats_from_its_seed_and_varies_with_it(dark_glasses: Worn, mask: Worn) -> None:
    wardrobe = [dark_glasses, mask]
    first, again, other = (worn(plain(140), ALL, np.random.default_rng(seed), wardrobe) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.crop, again.crop)
    np.testing.assert_array_equal(first.visible, again.visible)
    assert (first.crop != other.crop).any()


def test_all_that_there_is_to_wear_gets_worn(dark_glasses: Worn, mask: Worn) -> None:
    found = {tuple(worn(plain(140), ALL, np.random.default_rng(seed), [dark_glasses, mask]).visible) for seed in SEEDS}
    assert found == {tuple(DARK), tuple(MASK)}
