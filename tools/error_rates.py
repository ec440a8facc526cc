"""False match and false non-match rates of a labelled set of embeddings, over all its pairs.

Pairs are compared blockwise, so that memory stays small however many there are. Terms: ISO/IEC 2382-37 and ISO/IEC
19795-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.records import Doubles, Floats

Labels = npt.NDArray[np.intp]

_BLOCK = 512
"""Photos compared with all others at once; against 10,000 photos their scores take 20 MB."""

_BIN = 1e-4
"""Width of a bin of the histogram, in units of the comparison score."""

_BINS = round(2 / _BIN)
_ROUNDING = 1e-6
"""A bin's lower edge belongs to the bin, whatever dividing by 0.0001 makes of it; in bins, and in pairs."""

_GROUPS_MAX = 2000
"""Identities are resampled in at most this many groups: the interval hardly widens, the memory stays bounded."""

_REPLICAS = 500
"""Draws of a bootstrap: a dozen beyond each end of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class PairScores:
    """Comparison scores of all pairs of a set.

    Attributes:
        non_mated: int64 (20000,): non-mated pairs per bin of 0.0001, from -1 to 1.
        tail: float64, sorted, falling: the highest non-mated comparison scores.
        mated: float64, sorted: all mated comparison scores.
        mated_once: float64, sorted: of each identity, the pair of its first two photos.
    """

    non_mated: npt.NDArray[np.int64]
    tail: Doubles
    mated: Doubles
    mated_once: Doubles

    @property
    def non_mated_count(self) -> int:
        """Number of non-mated pairs."""
        return int(self.non_mated.sum())

    def fmr(self, cosine: float) -> float:
        """Share of non-mated pairs at or above a comparison score."""
        if len(self.tail) and cosine >= self.tail[-1]:
            return float(np.count_nonzero(self.tail >= cosine)) / self.non_mated_count
        return float(self.non_mated[_bin(np.array(cosine)) :].sum()) / self.non_mated_count

    def cosine_at(self, fmr: float) -> float:
        """Least comparison score at which the false match rate is at most fmr, read off the pairs themselves."""
        count = int(fmr * self.non_mated_count + _ROUNDING)
        if count < len(self.tail):
            higher = self.tail[self.tail > self.tail[count]]
            return float(higher[-1] if len(higher) else np.nextafter(self.tail[0], np.inf))
        above = np.append(np.cumsum(self.non_mated[::-1])[::-1], 0)
        return float(np.flatnonzero(above <= count)[0] * _BIN - 1)

    def fnmr(self, cosine: float, once: bool) -> float:
        """Share of mated pairs below a comparison score."""
        scores = self.mated_once if once else self.mated
        return float(np.searchsorted(scores, cosine) / max(1, len(scores)))


def _bin(cosines: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    return np.asarray(np.clip((cosines + 1) / _BIN + _ROUNDING, 0, _BINS - 1), np.intp)


def pair_scores(embeddings: Floats, identities: Labels, tail_count: int) -> PairScores:
    """Compare every photo with every other.

    Args:
        embeddings: float32 (n, d), rows of length 1.
        identities: intp (n,): number of each row's identity.
        tail_count: how many of the highest non-mated scores to keep exactly.
    """
    histogram = np.zeros(_BINS, np.int64)
    tail: Doubles = np.zeros(0, np.float64)
    mated: list[Doubles] = []
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores = embeddings[rows] @ embeddings[start:].T
        later = np.arange(scores.shape[1])[None] > np.arange(scores.shape[0])[:, None]
        same = identities[rows][:, None] == identities[start:][None]
        apart = scores[later & ~same]
        histogram += np.bincount(_bin(apart), minlength=_BINS)
        mated.append(scores[later & same].astype(np.float64))
        least = tail[-1] if 0 < tail_count == len(tail) else -np.inf
        tail = np.sort(np.concatenate([tail, apart[apart >= least].astype(np.float64)]))[::-1][:tail_count]
    return PairScores(histogram, tail, np.sort(np.concatenate(mated)), _once(embeddings, identities))


def listed_scores(scores: Doubles, mated: npt.NDArray[np.bool_]) -> PairScores:
    """The pairs of a list, as if they were all there are.

    Args:
        scores: float64 (n,): comparison score of each pair.
        mated: bool (n,).
    """
    apart, together = np.sort(scores[~mated])[::-1], np.sort(scores[mated])
    return PairScores(np.bincount(_bin(apart), minlength=_BINS).astype(np.int64), apart, together, together)


def listed_intervals(scores: Doubles, cosines: Doubles, seed: int) -> list[tuple[float, float]]:
    """95 % interval of the share of listed scores at or above each comparison score, by bootstrap over pairs."""
    random = np.random.default_rng(seed)
    drawn = random.choice(scores, (_REPLICAS, len(scores)))
    rates = [(drawn >= cosine).mean(axis=1) for cosine in cosines]
    return [(float(np.quantile(rate, 0.025)), float(np.quantile(rate, 0.975))) for rate in rates]


def best_accuracy(pairs: PairScores) -> tuple[float, float]:
    """Share of listed pairs told apart rightly at the best comparison score, and that score."""
    apart, together = np.sort(pairs.tail), pairs.mated
    places = np.unique(np.concatenate([apart, together]))
    right = np.searchsorted(apart, places) + len(together) - np.searchsorted(together, places)
    best = int(np.argmax(right))
    return float(right[best] / (len(apart) + len(together))), float(places[best])


def extreme_pairs(
    embeddings: Floats, identities: Labels, count: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The mated pairs that look least alike and the non-mated pairs that look most alike, the worst first."""
    worst: tuple[list[tuple[float, int, int]], list[tuple[float, int, int]]] = ([], [])
    for start in range(0, len(embeddings), _BLOCK):
        scores = embeddings[start : start + _BLOCK] @ embeddings[start:].T
        later = np.arange(scores.shape[1])[None] > np.arange(scores.shape[0])[:, None]
        same = identities[start : start + _BLOCK][:, None] == identities[start:][None]
        for kept, cost, among in ((worst[0], scores, later & same), (worst[1], -scores, later & ~same)):
            flat = np.where(among, cost, np.inf).ravel()
            nearest = np.argpartition(flat, min(count, len(flat) - 1))[:count]
            places = [np.unravel_index(place, scores.shape) for place in nearest if np.isfinite(flat[place])]
            kept += [(float(cost[place]), start + int(place[0]), start + int(place[1])) for place in places]
            kept[:] = sorted(kept)[:count]
    return [pair[1:] for pair in worst[0]], [pair[1:] for pair in worst[1]]


def _once(embeddings: Floats, identities: Labels) -> Doubles:
    first_two = [np.flatnonzero(identities == identity)[:2] for identity in np.unique(identities)]
    pairs = np.array([pair for pair in first_two if len(pair) == 2], np.intp).reshape(-1, 2)
    return np.sort(np.einsum("nd,nd->n", embeddings[pairs[:, 0]], embeddings[pairs[:, 1]]).astype(np.float64))


def fmr_intervals(embeddings: Floats, identities: Labels, cosines: Doubles, seed: int) -> list[tuple[float, float]]:
    """95 % interval of the false match rate at each comparison score, by bootstrap over identities.

    Pairs that share a photo are not independent, so whole identities are drawn with replacement. Source: R. Bolle,
    N. Ratha, S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap", CVIU 93(1), 2004.
    """
    random = np.random.default_rng(seed)
    groups = min(_GROUPS_MAX, int(identities.max()) + 1)
    group = random.permutation(int(identities.max()) + 1)[identities] % groups
    above, pairs = _counts_by_group(embeddings, identities, group, cosines)
    rates = np.empty((_REPLICAS, len(cosines)))
    for replica in range(_REPLICAS):
        weight = np.bincount(random.integers(groups, size=groups), minlength=groups).astype(np.float32)
        total = float(weight @ (pairs @ weight))
        # A draw of one group alone has no non-mated pair, and says nothing.
        rates[replica] = [float(weight @ (counts @ weight)) / total if total else np.nan for counts in above]
    low, high = np.nanquantile(rates, (0.025, 0.975), axis=0)
    return [(float(one), float(other)) for one, other in zip(low, high, strict=True)]


def _counts_by_group(
    embeddings: Floats, identities: Labels, group: Labels, cosines: Doubles
) -> tuple[list[Floats], Floats]:
    """Non-mated pairs above each score, and all of them, by the groups of both photos: float32 (groups, groups)."""
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    photos, people = embeddings[order], identities[order]
    above: list[Floats] = [np.zeros((len(edges), len(edges)), np.float32) for _ in cosines]
    pairs: Floats = np.zeros((len(edges), len(edges)), np.float32)
    for row, (start, end) in enumerate(zip(edges, [*edges[1:], len(order)], strict=True)):
        apart = people[start:end, None] != people[None]
        scores = photos[start:end] @ photos.T
        pairs[row] = np.add.reduceat(apart.sum(axis=0), edges)
        for counts, cosine in zip(above, cosines, strict=True):
            counts[row] = np.add.reduceat((apart & (scores >= cosine)).sum(axis=0), edges)
    return above, pairs
