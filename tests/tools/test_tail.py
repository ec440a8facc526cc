"""The tail's model finds the parameters that samples were drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.records import Doubles
from tools.tail import ParetoTail, fit_tail


def drawn(shape: float, scale: float, count: int, seed: int) -> Doubles:
    """Scores above 0.4, sorted, falling. Source: the inverse of the generalised Pareto distribution function."""
    chance = np.random.default_rng(seed).random(count)
    excess = -scale * np.log(chance) if shape == 0 else scale / shape * (chance**-shape - 1)
    return np.asarray(np.sort(0.4 + excess)[::-1])


@pytest.mark.parametrize("shape", [-0.5, -0.2, 0.0, 0.2])
@pytest.mark.parametrize("scale", [0.01, 0.2])
def test_shape_and_scale_are_recovered(shape: float, scale: float) -> None:
    found = fit_tail(drawn(shape, scale, 50_000, seed=1), 1e-3)
    assert found.shape == pytest.approx(shape, abs=0.03)
    assert found.scale == pytest.approx(scale, rel=0.03)
    assert found.start == pytest.approx(0.4, abs=1e-4)
    assert found.start_fmr == 1e-3


def test_the_rate_of_a_fitted_tail_is_that_of_the_distribution() -> None:
    found = fit_tail(drawn(-0.2, 0.05, 50_000, seed=2), 1e-3)
    # Closed form: 0.4 + 0.05 / 0.2 (1 - 0.01 ** 0.2).
    assert found.cosine_at(1e-5) == pytest.approx(0.55047, abs=0.003)


@pytest.mark.parametrize(
    ("shape", "cosine"),
    [
        (-0.5, 0.68),  # by hand: 0.5 + 0.1 / 0.5 (1 - 0.01 ** 0.5)
        (0.0, 0.9605170),  # by hand: 0.5 + 0.1 ln 100
        (0.5, 2.3),  # by hand: 0.5 + 0.1 / 0.5 (0.01 ** -0.5 - 1)
    ],
)
def test_the_cosine_at_a_hundredth_of_the_starts_rate(shape: float, cosine: float) -> None:
    assert ParetoTail(0.5, 1e-3, 0.1, shape).cosine_at(1e-5) == pytest.approx(cosine, abs=1e-7)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.5])
def test_the_cosine_at_the_starts_rate_is_the_start(shape: float) -> None:
    assert ParetoTail(0.5, 1e-3, 0.1, shape).cosine_at(1e-3) == pytest.approx(0.5)


def test_a_shape_near_zero_gives_what_zero_gives() -> None:
    near, zero = (ParetoTail(0.5, 1e-3, 0.1, shape).cosine_at(1e-7) for shape in (1e-8, 0.0))
    assert near == pytest.approx(zero, abs=1e-6)


def test_a_few_wrongly_labelled_pairs_at_the_top_hardly_move_the_tail() -> None:
    clean = drawn(-0.2, 0.05, 20_000, seed=3)
    spoilt = np.sort(np.append(clean, np.full(10, 0.95)))[::-1]
    assert fit_tail(spoilt, 1e-3).cosine_at(1e-5) == pytest.approx(fit_tail(clean, 1e-3).cosine_at(1e-5), abs=0.01)
