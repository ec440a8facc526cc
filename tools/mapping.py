"""From scores of pairs to the map of a calibration, and what a threshold on it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.errors import ConfigurationRefused
from daemon.records import Doubles
from daemon.score.calibration import ErrorRate
from tools.error_rates import PairScores, fmr_intervals, listed_intervals, listed_scores, pair_scores
from tools.extraction import ListedPair
from tools.measurement import Measured
from tools.tail import fit_tail

THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The contract's table of thresholds."""

_TAIL_START_FMR = 1e-3
"""Above this rate pairs are counted, below it the tail's model speaks. Measured: trt_engines/sface/README.md."""

_TAIL_PAIRS_MIN = 50
"""Fewer exceedances than this do not tell the tail's shape: on small sets the model speaks from a higher rate on."""

_PAIRS_MIN = 1000
"""Fewer non-mated pairs than this do not even show one false match in a thousand."""

_COUNTED_MIN = 10
"""Fewer pairs than this above a threshold say too little: the rate there is called extrapolated."""

_KNOT_STEP = 0.01
"""Ten knots from one threshold of the table to the next."""

_LOWEST_SCORE = 0.3
"""Verification score at a false match rate of 1: 0.3 - 0.1 log10(1)."""

Knots = tuple[tuple[float, float], ...]
"""Comparison score and verification score, both rising."""


def declared_fmr(threshold: float) -> float:
    """False match rate that a threshold on the verification score stands for. Source: the contract."""
    return float(10 ** (3 - 10 * threshold))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores of the pairs that were compared, and how to say how sure a false match rate is.

    Attributes:
        pairs: all scores.
        measured: the set, where all its pairs were compared; None where only listed ones were.
        seed: of the bootstrap.
    """

    pairs: PairScores
    measured: Measured | None
    seed: int

    def intervals(self, cosines: Doubles) -> list[tuple[float, float]]:
        """95 % interval of the false match rate at each comparison score."""
        if self.measured is None:
            return listed_intervals(self.pairs.tail, cosines, self.seed)
        return fmr_intervals(self.measured.embeddings, self.measured.identities, cosines, self.seed)


def all_pairs(measured: Measured, seed: int) -> Evidence:
    """Every photo compared with every other."""
    identities = measured.identities
    _, counts = np.unique(identities, return_counts=True)
    photos = len(identities)
    non_mated = (photos * (photos - 1) - int((counts * (counts - 1)).sum())) // 2
    return Evidence(pair_scores(measured.embeddings, identities, _tail_count(non_mated)), measured, seed)


def _tail_count(non_mated: int) -> int:
    """How many of the highest non-mated scores the tail's model is fitted to."""
    return max(_TAIL_PAIRS_MIN, round(_TAIL_START_FMR * non_mated))


def only_listed(measured: Measured, pairs: Sequence[ListedPair], seed: int) -> Evidence:
    """The pairs of a list, less those in which a face was not found."""
    row = {photo.path: place for place, photo in enumerate(measured.photos)}
    known = [pair for pair in pairs if pair.first in row and pair.second in row]
    first, second = (
        measured.embeddings[[row[path] for path in paths]]
        for paths in zip(*((pair.first, pair.second) for pair in known), strict=True)
    )
    scores = np.einsum("nd,nd->n", first, second).astype(np.float64)
    return Evidence(listed_scores(scores, np.array([pair.mated for pair in known])), None, seed)


def fit_map(pairs: PairScores) -> Knots:
    """The map's knots: counted where pairs are many, by the tail's model where they are few, from -1 to 1.

    Raises:
        ConfigurationRefused: there are too few non-mated pairs to say anything of rare events.
    """
    if pairs.non_mated_count < _PAIRS_MIN or not len(pairs.mated):
        raise ConfigurationRefused(
            f"{pairs.non_mated_count} non-mated and {len(pairs.mated)} mated pairs; {_PAIRS_MIN} and 1 are needed",
            "Measure more people, some of them with two photos.",
        )
    kept = min(len(pairs.tail), _tail_count(pairs.non_mated_count))
    tail = fit_tail(pairs.tail[:kept], kept / pairs.non_mated_count)
    found = [(-1.0, _LOWEST_SCORE)]
    for score in np.arange(_LOWEST_SCORE + _KNOT_STEP, 1 + _KNOT_STEP / 2, _KNOT_STEP):
        fmr = declared_fmr(float(score))
        cosine = tail.cosine_at(fmr) if fmr <= tail.start_fmr else pairs.cosine_at(fmr)
        if found[-1][0] + 1e-6 < cosine < 1:
            found.append((round(float(cosine), 6), round(float(score), 6)))
    return (*found, (1.0, 1.0))


def counted_to(pairs: PairScores) -> float:
    """Verification score up to which pairs were counted; scores beyond it come from the tail's model alone."""
    return round(min(1.0, _LOWEST_SCORE - 0.1 * math.log10(_COUNTED_MIN / pairs.non_mated_count)), 2)


def threshold_cosines(knots: Knots) -> Doubles:
    """Comparison score that each of the contract's thresholds stands for."""
    cosines, scores = np.array(knots).T
    return np.asarray(np.interp(THRESHOLDS, scores, cosines), np.float64)


def rates_at(evidence: Evidence, cosines: Doubles) -> tuple[ErrorRate, ...]:
    """What the evidence says of each of the contract's thresholds."""
    pairs, intervals = evidence.pairs, evidence.intervals(cosines)
    return tuple(
        ErrorRate(
            threshold=threshold,
            cosine=round(float(cosine), 6),
            fmr=pairs.fmr(cosine),
            fmr_interval=interval,
            fnmr=round(pairs.fnmr(cosine, once=False), 6),
            fnmr_one_pair=round(pairs.fnmr(cosine, once=True), 6),
            extrapolated=declared_fmr(threshold) * pairs.non_mated_count < _COUNTED_MIN,
        )
        for threshold, cosine, interval in zip(THRESHOLDS, cosines, intervals, strict=True)
    )
