"""The map of a calibration, on embeddings whose scores are known in law."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import ConfigurationRefused
from daemon.score.calibration import Calibration, CalibrationRecord, DataSet
from tools.error_rates import PairScores
from tools.extraction import LabelledPhoto, ListedPair
from tools.mapping import THRESHOLDS, Evidence, Knots, all_pairs, fit_map, only_listed, rates_at, threshold_cosines
from tools.measurement import Measured

IDENTITIES, SIZE = 700, 64


def _measured(seed: int) -> Measured:
    """Two noisy photos of each of 700 identities, each a random direction in 64 dimensions."""
    random = np.random.default_rng(seed)
    people = np.repeat(random.normal(size=(IDENTITIES, SIZE)), 2, axis=0)
    rows = people + random.normal(scale=0.6, size=people.shape)
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    photos = tuple(LabelledPhoto(str(row // 2), Path(f"{row}.jpg"), {}) for row in range(len(unit)))
    return Measured(unit, photos, (), ("0" * 64, "1" * 64))


@pytest.fixture(scope="module")
def measured() -> Measured:
    return _measured(1)


@pytest.fixture(scope="module")
def evidence(measured: Measured) -> Evidence:
    return all_pairs(measured, seed=1)


@pytest.fixture(scope="module")
def knots(evidence: Evidence) -> Knots:
    return fit_map(evidence.pairs)


def _random_direction_survival(cosine: float) -> float:
    """Chance that two random directions in n dimensions have at least this cosine, by numerical integration.

    The density is proportional to (1 - c^2)^((n - 3) / 2): the area of a slice of the sphere.
    """
    grid = np.linspace(-1, 1, 400_001)
    density = (1 - grid**2) ** ((SIZE - 3) / 2)
    return float(density[grid >= cosine].sum() / density.sum())


def test_every_photo_is_compared_with_every_other(evidence: Evidence) -> None:
    photos = 2 * IDENTITIES
    assert evidence.pairs.non_mated_count == photos * (photos - 1) // 2 - IDENTITIES
    assert len(evidence.pairs.mated) == IDENTITIES


def test_the_map_rises_from_minus_one_to_one(knots: Knots) -> None:
    cosines, scores = np.array(knots).T
    assert (cosines[0], cosines[-1], scores[0], scores[-1]) == (-1.0, 1.0, 0.3, 1.0)
    assert np.all(np.diff(cosines) > 0)
    assert np.all(np.diff(scores) >= 0)


@pytest.mark.parametrize(("place", "factor"), [(0, 1.05), (1, 1.05), (2, 1.1), (3, 1.25), (4, 1.7), (5, 5.0)])
def test_thresholds_have_the_declared_rate_in_the_law_the_scores_follow(
    knots: Knots, place: int, factor: float
) -> None:
    # A million pairs: at the last place one is expected above, so only its order of magnitude can be right.
    declared = 10 ** (3 - 10 * THRESHOLDS[place])
    true = _random_direction_survival(float(threshold_cosines(knots)[place]))
    assert declared / factor <= true <= declared * factor


def test_other_people_of_the_same_kind_match_at_the_declared_rate(knots: Knots) -> None:
    others = rates_at(all_pairs(_measured(2), seed=1), threshold_cosines(knots))
    for rate in others[:4]:
        assert rate.fmr == pytest.approx(10 ** (3 - 10 * rate.threshold), rel=0.3)


def test_the_interval_holds_the_measured_rate(evidence: Evidence, knots: Knots) -> None:
    for rate in rates_at(evidence, threshold_cosines(knots))[:4]:
        low, high = rate.fmr_interval
        assert low < rate.fmr < high


def test_only_thresholds_with_too_few_pairs_are_called_extrapolated(evidence: Evidence, knots: Knots) -> None:
    pairs = evidence.pairs.non_mated_count
    for rate in rates_at(evidence, threshold_cosines(knots)):
        assert rate.extrapolated == (10 ** (3 - 10 * rate.threshold) * pairs < 10)


def test_a_calibration_made_of_the_map_gives_each_threshold_at_its_cosine(evidence: Evidence, knots: Knots) -> None:
    cosines = threshold_cosines(knots)
    data = DataSet(name="x", identities=2, photos=2, failures_to_acquire=0, mated_pairs=1, non_mated_pairs=1)
    record = CalibrationRecord(
        detection="0" * 64,
        recognition="0" * 64,
        tool="test",
        made_utc="2000-01-01T00:00:00+00:00",
        data=data,
        error_rates=rates_at(evidence, cosines),
        counted_to=0.8,
        knots=knots,
    )
    scores = [Calibration(record).score(float(cosine)) for cosine in cosines]
    assert scores == pytest.approx(THRESHOLDS, abs=1e-6)


def test_too_few_pairs_are_refused() -> None:
    few = PairScores(np.ones(20_000, np.int64)[:0], np.zeros(0), np.array([0.5]), np.array([0.5]))
    with pytest.raises(ConfigurationRefused, match="0 non-mated and 1 mated pairs"):
        fit_map(few)


def test_a_pair_list_compares_its_pairs_only(measured: Measured) -> None:
    rows = {photo.path: row for row, photo in enumerate(measured.photos)}
    pairs = [
        ListedPair(True, Path("0.jpg"), Path("1.jpg")),
        ListedPair(False, Path("0.jpg"), Path("2.jpg")),
        ListedPair(False, Path("5.jpg"), Path("no-face.jpg")),
    ]
    found = only_listed(measured, pairs, seed=1).pairs
    by_hand = [
        math.fsum(float(a) * float(b) for a, b in zip(*(measured.embeddings[rows[p]] for p in two), strict=True))
        for two in ((Path("0.jpg"), Path("1.jpg")), (Path("0.jpg"), Path("2.jpg")))
    ]
    assert found.mated == pytest.approx([by_hand[0]], abs=1e-6)
    assert found.tail == pytest.approx([by_hand[1]], abs=1e-6)
