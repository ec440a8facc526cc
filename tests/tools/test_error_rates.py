"""Error rates are what counting pair by pair gives."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.records import Doubles, Floats
from tools.error_rates import Labels, PairScores, fmr_intervals, pair_scores


def exact_set(photos: int, identities: int, seed: int) -> tuple[Floats, Labels]:
    """Embeddings whose products are multiples of 1/1024, so that every way of summing gives the same number."""
    random = np.random.default_rng(seed)
    embeddings = (random.integers(-8, 9, (photos, 8)) / 32).astype(np.float32)
    return embeddings, np.sort(np.append(np.arange(identities), random.integers(identities, size=photos - identities)))


def double_loop(embeddings: Floats, identities: Labels) -> tuple[list[float], list[float]]:
    """Scores of all mated and all non-mated pairs, by two loops."""
    scores: tuple[list[float], list[float]] = ([], [])
    for one, other in combinations(range(len(embeddings)), 2):
        score = sum(float(a) * float(b) for a, b in zip(embeddings[one], embeddings[other], strict=True))
        scores[0 if identities[one] == identities[other] else 1].append(score)
    return scores


@pytest.fixture(scope="module")
def small() -> tuple[PairScores, list[float], list[float]]:
    """A small set measured, and its mated and non-mated scores by two loops."""
    embeddings, identities = exact_set(90, 30, seed=1)
    return pair_scores(embeddings, identities, 200), *double_loop(embeddings, identities)


def test_mated_scores_are_those_of_the_double_loop(small: tuple[PairScores, list[float], list[float]]) -> None:
    pairs, mated, _ = small
    np.testing.assert_array_equal(pairs.mated, sorted(mated))


def test_non_mated_pairs_are_counted_as_by_the_double_loop(
    small: tuple[PairScores, list[float], list[float]],
) -> None:
    pairs, _, non_mated = small
    assert pairs.non_mated_count == len(non_mated)
    for hundredths in range(-50, 50):
        wanted = sum(score >= hundredths / 100 for score in non_mated) / len(non_mated)
        assert pairs.fmr(hundredths / 100) == wanted


def test_the_tail_is_the_highest_non_mated_scores_falling(
    small: tuple[PairScores, list[float], list[float]],
) -> None:
    pairs, _, non_mated = small
    np.testing.assert_array_equal(pairs.tail, sorted(non_mated, reverse=True)[:200])


def test_fmr_within_the_tail_is_exact(small: tuple[PairScores, list[float], list[float]]) -> None:
    pairs, _, non_mated = small
    for cosine in set(pairs.tail):
        assert pairs.fmr(float(cosine)) == sum(score >= cosine for score in non_mated) / len(non_mated)


def test_fnmr_is_the_share_of_mated_pairs_below(small: tuple[PairScores, list[float], list[float]]) -> None:
    pairs, mated, _ = small
    for cosine in (-1.0, -0.1, 0.0, mated[0], mated[5], 0.2, 1.0):
        assert pairs.fnmr(cosine, once=False) == sum(score < cosine for score in mated) / len(mated)


def test_one_pair_per_identity_is_that_of_its_first_two_photos() -> None:
    embeddings, _ = exact_set(6, 1, seed=2)
    identities = np.array([0, 1, 0, 0, 2, 1])
    found = pair_scores(embeddings, identities, 3).mated_once
    wanted = sorted([float(embeddings[0] @ embeddings[2]), float(embeddings[1] @ embeddings[5])])
    np.testing.assert_array_equal(found, wanted)


def test_a_set_without_mated_pairs_has_non_mated_ones_only() -> None:
    embeddings, _ = exact_set(5, 1, seed=3)
    pairs = pair_scores(embeddings, np.arange(5), 3)
    assert (len(pairs.mated), len(pairs.mated_once), pairs.non_mated_count) == (0, 0, 10)


def test_sets_larger_than_a_block_are_compared_across_blocks() -> None:
    # More photos than one block. Source of the numbers: the whole matrix at once, in float64.
    embeddings, identities = exact_set(4500, 700, seed=4)
    order = np.random.default_rng(4).permutation(4500)
    embeddings, identities = embeddings[order], identities[order]
    whole = (embeddings.astype(np.float64) @ embeddings.astype(np.float64).T)[np.triu_indices(4500, 1)]
    same = (identities[:, None] == identities)[np.triu_indices(4500, 1)]
    pairs = pair_scores(embeddings, identities, 1000)
    np.testing.assert_array_equal(pairs.mated, np.sort(whole[same]))
    np.testing.assert_array_equal(pairs.tail, np.sort(whole[~same])[::-1][:1000])
    assert pairs.non_mated_count == np.count_nonzero(~same)
    assert pairs.fmr(0.05) == np.count_nonzero(whole[~same] >= 0.05) / np.count_nonzero(~same)


def random_pairs(tail_count: int) -> PairScores:
    random = np.random.default_rng(5)
    embeddings = random.normal(size=(300, 8)).astype(np.float32)
    return pair_scores(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.arange(300) // 3, tail_count)


PAIRS = {tail_count: random_pairs(tail_count) for tail_count in (0, 500)}


@settings(max_examples=300, deadline=None)
@given(wanted=st.floats(1e-6, 1.0), tail_count=st.sampled_from([0, 500]))
def test_the_cosine_at_a_rate_has_at_most_that_rate(wanted: float, tail_count: int) -> None:
    pairs = PAIRS[tail_count]
    assert pairs.fmr(pairs.cosine_at(wanted)) <= wanted * (1 + 1e-9)


@settings(max_examples=300, deadline=None)
@given(wanted=st.floats(1e-3, 1.0), tail_count=st.sampled_from([0, 500]))
def test_a_little_below_the_cosine_at_a_rate_the_rate_is_higher(wanted: float, tail_count: int) -> None:
    pairs = PAIRS[tail_count]
    one_pair_lower = pairs.cosine_at(wanted) - 0.0101  # the widest gap between two scores of this set
    assert pairs.fmr(one_pair_lower) > wanted * (1 - 1e-9) or one_pair_lower <= -1


def test_equal_scores_at_a_rate_are_all_above_it_or_all_below() -> None:
    tail = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    histogram = np.zeros(20000, np.int64)
    np.add.at(histogram, [19000, 15000, 15000, 15000, 11000], 1)
    pairs = PairScores(histogram, tail, np.zeros(0), np.zeros(0))
    assert [pairs.cosine_at(count / 5) for count in (1, 2, 3, 4)] == [0.9, 0.9, 0.9, 0.5]


def known_set(seed: int) -> tuple[Floats, Labels]:
    """400 identities of 3 photos, all embeddings independent and even on the circle."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, 1200)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), np.repeat(np.arange(400), 3)


COSINES: Doubles = np.cos(np.pi * np.array([0.1, 0.02]))
"""Two even points of a circle are within a share s of the half circle with probability s: rates 0.1 and 0.02."""


def test_intervals_cover_the_known_rate() -> None:
    intervals = [fmr_intervals(*known_set(seed), COSINES, seed=1) for seed in range(4)]
    covered = [low <= rate <= high for each in intervals for rate, (low, high) in zip((0.1, 0.02), each, strict=True)]
    assert sum(covered) >= 7


def test_intervals_hold_the_measured_rate_and_are_narrow() -> None:
    embeddings, identities = known_set(10)
    pairs = pair_scores(embeddings, identities, 0)
    for cosine, (low, high) in zip(COSINES, fmr_intervals(embeddings, identities, COSINES, seed=1), strict=True):
        assert low < pairs.fmr(cosine) < high
        assert 0 < high - low < 0.5 * high


def test_intervals_are_the_same_for_the_same_seed() -> None:
    first, again, other = (fmr_intervals(*known_set(1), COSINES, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
