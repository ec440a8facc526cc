"""Occluders change what they say they cover, hard negatives cover nothing, and a seed repeats them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from daemon.face.alignment import PLACES
from daemon.records import Bytes, Doubles
from tools.occluders import HARD_NEGATIVES, OCCLUDERS
from tools.occluders.canvas import Cover, Random
from tools.occluders.glasses import clear_spectacles, dark_glasses
from tools.occluders.masks import mask, scarf

SEEDS = range(40)
Occluder = Callable[[Bytes, Random], tuple[Bytes, Cover]]
HardNegative = Callable[[Bytes, Random], Bytes]
occluders = pytest.mark.parametrize("occluder", OCCLUDERS, ids=lambda occluder: occluder.__name__)
hard_negatives = pytest.mark.parametrize("negative", HARD_NEGATIVES, ids=lambda negative: negative.__name__)


@pytest.fixture(scope="module")
def crop() -> Bytes:
    """A crop full of detail in the colours of skin, read-only; nothing drawn on it may change it itself."""
    random = np.random.default_rng(0)
    coarse = cv2.resize(random.uniform(60, 200, (14, 14, 3)).astype(np.float32), (112, 112))
    made = np.clip(coarse + random.normal(0, 15, (112, 112, 3)), 0, 255).astype(np.uint8)
    made.flags.writeable = False
    return made


@occluders
def test_an_occluder_gives_a_crop_and_where_it_covers(occluder: Occluder, crop: Bytes) -> None:
    for seed in SEEDS:
        drawn, cover = occluder(crop, np.random.default_rng(seed))
        assert (drawn.shape, drawn.dtype.name) == ((112, 112, 3), "uint8")
        assert (cover.shape, cover.dtype.name) == ((112, 112), "bool")


@occluders
def test_an_occluder_changes_what_it_covers(occluder: Occluder, crop: Bytes) -> None:
    for seed in SEEDS:
        drawn, cover = occluder(crop, np.random.default_rng(seed))
        changed = (drawn != crop).any(axis=2)
        assert np.count_nonzero(changed & cover) >= 0.95 * np.count_nonzero(cover)


@occluders
def test_an_occluder_leaves_what_it_does_not_cover(occluder: Occluder, crop: Bytes) -> None:
    for seed in SEEDS:
        drawn, cover = occluder(crop, np.random.default_rng(seed))
        near = cv2.dilate(cover.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
        # Beyond the soft edge nothing changes but straps and temples: two lines of 60 px, 3 px and soft edges wide.
        assert np.count_nonzero((drawn != crop).any(axis=2) & ~near) <= 2 * 60 * 7


@occluders
def test_an_occluder_mostly_covers_something(occluder: Occluder, crop: Bytes) -> None:
    covered = [occluder(crop, np.random.default_rng(seed))[1].mean() for seed in SEEDS]
    assert 0.02 < np.mean(covered) < 0.6


@occluders
def test_an_occluder_repeats_from_its_seed_and_varies_with_it(occluder: Occluder, crop: Bytes) -> None:
    first, again, other = (occluder(crop, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize(
    ("occluder", "hidden", "free"),
    [(mask, (3, 4), (0, 1)), (dark_glasses, (0, 1), (3, 4)), (scarf, (), (0, 1))],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_occluder_covers_the_part_of_the_face_that_it_is_made_for(
    occluder: Occluder, hidden: tuple[int, ...], free: tuple[int, ...], crop: Bytes
) -> None:
    # Places: right eye, left eye, nose, right and left corner of the mouth.
    for seed in SEEDS:
        _, cover = occluder(crop, np.random.default_rng(seed))
        at = [bool(cover[round(y), round(x)]) for x, y in PLACES]
        assert all(at[place] for place in hidden)
        assert not any(at[place] for place in free)


def test_clear_spectacles_leave_the_eyes_more_to_be_seen_than_dark_glasses(crop: Bytes) -> None:
    def pattern_kept(drawn: Bytes) -> float:
        eyes = np.s_[48:56, 32:80]
        return float(np.corrcoef(crop[eyes].ravel().astype(float), drawn[eyes].ravel().astype(float))[0, 1])

    clear = [pattern_kept(clear_spectacles(crop, np.random.default_rng(seed))) for seed in SEEDS]
    dark = [pattern_kept(dark_glasses(crop, np.random.default_rng(seed))[0]) for seed in SEEDS]
    assert np.median(clear) > 0.6 > 0.4 > np.median(dark)


@hard_negatives
def test_a_hard_negative_changes_the_crop_and_says_nothing_of_a_cover(negative: HardNegative, crop: Bytes) -> None:
    for seed in SEEDS:
        drawn = negative(crop, np.random.default_rng(seed))
        assert (drawn.shape, drawn.dtype.name) == ((112, 112, 3), "uint8")
        assert (drawn != crop).any()


@hard_negatives
def test_a_hard_negative_leaves_the_face_to_be_seen(negative: HardNegative, crop: Bytes) -> None:
    # What is covered is painted over and loses its pattern; what is shaded or blurred keeps it.
    def pattern(rgb: Bytes) -> Doubles:
        face = cv2.resize(rgb[40:104, 28:84], (7, 8), interpolation=cv2.INTER_AREA).astype(np.float64)
        return np.asarray(face - face.mean((0, 1)), np.float64).ravel()

    drawn = [negative(crop, np.random.default_rng(seed)) for seed in SEEDS]
    assert np.median([np.corrcoef(pattern(crop), pattern(one))[0, 1] for one in drawn]) > 0.4


@hard_negatives
def test_a_hard_negative_repeats_from_its_seed_and_varies_with_it(negative: HardNegative, crop: Bytes) -> None:
    first, again, other = (negative(crop, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
