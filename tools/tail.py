"""The tail of the non-mated scores: what the false match rate is where too few pairs are left to count.

Source: extreme value theory: exceedances over a high threshold follow a generalised Pareto distribution (J. Pickands,
Annals of Statistics 3(1), 1975). Its two parameters are estimated by probability-weighted moments (J. Hosking,
J. Wallis, Technometrics 29(3), 1987), which a few wrongly labelled pairs at the top hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daemon.records import Doubles


@dataclass(frozen=True, slots=True)
class ParetoTail:
    """False match rate above a comparison score.

    Attributes:
        start: comparison score from which the model holds.
        start_fmr: false match rate there.
        scale: of the distribution, in units of the comparison score.
        shape: below 0 the tail ends, at 0 it falls like an exponential.
    """

    start: float
    start_fmr: float
    scale: float
    shape: float

    def cosine_at(self, fmr: float) -> float:
        """Comparison score whose false match rate is fmr; fmr at most start_fmr."""
        ratio = fmr / self.start_fmr
        if abs(self.shape) < 1e-9:
            return self.start - self.scale * float(np.log(ratio))
        return float(self.start + self.scale / self.shape * (ratio**-self.shape - 1))


def fit_tail(scores: Doubles, start_fmr: float) -> ParetoTail:
    """The tail that fits the highest scores.

    Args:
        scores: float64, sorted, falling: all scores above the tail's start.
        start_fmr: false match rate at the last of them.
    """
    start = float(scores[-1])
    excess = np.sort(scores - start)
    count = len(excess)
    first = float(excess.mean())
    # Hosking and Wallis, equation for a_1: the mean weighted by the chance of being exceeded.
    second = float((excess * (1 - (np.arange(1, count + 1) - 0.35) / count)).mean())
    shape = 2 - first / (first - 2 * second)
    scale = 2 * first * second / (first - 2 * second)
    return ParetoTail(start, start_fmr, scale, shape)
