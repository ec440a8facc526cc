"""Plots draw what was measured, to scale, and break where nothing was."""

from __future__ import annotations

import pytest

from daemon.api.status_plots import bars, lines


def test_bars_stand_on_each_other_and_the_highest_fills_the_plot() -> None:
    plot = bars([[1, 1], [4, 0], [0, 0]], ("compared", "refused"), "told")
    drawn = [(rect.get("class"), float(rect.get("y", "")), float(rect.get("height", ""))) for rect in plot]
    assert drawn == [("compared", 75.0, 25.0), ("refused", 50.0, 25.0), ("compared", 0.0, 100.0)]
    assert plot.get("viewBox") == "0 0 3 100"
    assert (plot.get("role"), plot.get("aria-label")) == ("img", "told")


def test_a_line_breaks_where_there_is_no_value() -> None:
    (path,) = lines([[2.0, 1.0, None, 4.0]], ("compared",), "told")
    assert path.get("d") == "M0.10 50.00H0.90 L1.50 75.00 M3.10 0.00H3.90"


@pytest.mark.parametrize("plot", [bars([[0]] * 3, ("a",), ""), lines([[None] * 3], ("a",), ""), lines([], (), "")])
def test_nothing_is_drawn_of_nothing(plot: object) -> None:
    assert [path.get("d") for path in plot] in ([], [""])  # type: ignore[attr-defined]
