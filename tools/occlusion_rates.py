"""What an occlusion head refuses, by what the faces show: counts with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.records import Floats

_MOSTLY = 0.25
"""A drawn face must be refused where a region shows less than this, and must pass where all regions show whole;
between the two either is right."""

_MARGIN = 0.1
"""How far the thresholds are moved to show what they would let through or refuse then."""

_Z = 1.959964
"""Source: 97.5 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Faces on which a head that was not trained on these people was tried.

    Attributes:
        shows: what each shows, (n,) of text.
        visible: float32 (n, 4), what really shows of each region; NaN where it is not known.
        found: float32 (n, 4), what the head says.
    """

    shows: Sequence[str]
    visible: Floats
    found: Floats


def interval(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a share.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    share, spread = count / of, _Z**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def refusal_rates(judged: Judged, min_visible: Sequence[float]) -> list[dict[str, Any]]:
    """One row per kind of face and what should happen to it; faces of which nobody can say are left out.

    Args:
        judged: the faces.
        min_visible: by region, as REGIONS, the least share that passes.

    Returns:
        Counts, and how many would be refused were every threshold _MARGIN lower or higher.
    """
    least = np.asarray(min_visible)
    refused = {
        shift: np.asarray((judged.found < least + shift).any(axis=1), np.bool_) for shift in (0, -_MARGIN, _MARGIN)
    }
    verdicts = {
        "refused": np.asarray((judged.visible < _MOSTLY).any(axis=1), np.bool_),
        "passed": np.asarray((judged.visible >= 1).all(axis=1), np.bool_),
    }
    kinds = np.asarray(judged.shows)
    rows = []
    for kind in sorted(set(judged.shows)):
        for should, such in verdicts.items():
            chosen = such & (kinds == kind)
            if chosen.any():
                rows.append({"faces": kind, "should_be": should, **_counts([refused[key][chosen] for key in refused])})
    return rows


def _counts(refused: Sequence[npt.NDArray[np.bool_]]) -> dict[str, Any]:
    """Counts at the thresholds, below and above them."""
    (count, lower, higher), of = (int(np.count_nonzero(one)) for one in refused), len(refused[0])
    low, high = interval(count, of)
    return {
        "count": of,
        "refused": count,
        "rate": f"{count / of:.2%}",
        "interval_95": f"{low:.2%} to {high:.2%}",
        f"at_-{_MARGIN}": lower,
        f"at_+{_MARGIN}": higher,
    }
