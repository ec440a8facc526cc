"""Tables say what was measured: OpenCV where it is best, and steps that add up."""

from __future__ import annotations

import json

import pytest

from tools.benchmark import cost, flatness
from tools.benchmark.figures import Done, Round, mean_rate, median_ms
from tools.benchmark.processes import Memory
from tools.benchmark.race import HTTP_ONE, OPENCV_FULL, OPENCV_WAYS, Measured
from tools.benchmark.tables import Promise, Table, best_opencv, markdown, show_tables, step_table


def _round(took_s: float, clients: int, parts_ms: dict[str, float] | None = None) -> Round:
    return Round(0.0, [Done(client, 0, 0.0, took_s, parts_ms=parts_ms or {}) for client in range(clients)])


def test_opencv_counts_where_it_is_best() -> None:
    inside, photos, verifications = (f"{OPENCV_FULL}, {way}" for way in OPENCV_WAYS)
    rounds = {inside: [_round(0.5, 1)], photos: [_round(0.4, 1)], verifications: [_round(0.6, 2)]}
    assert best_opencv(rounds, OPENCV_FULL, mean_rate) == verifications
    # Whoever waits for one answer is not helped by another one beside it.
    assert best_opencv(rounds | {verifications: [_round(0.1, 2)]}, OPENCV_FULL, median_ms) == photos


def _measured() -> Measured:
    steps = {"open": 1.0, "decode": 20.0, "detect": 40.0, "embed": 30.0}
    inside = {"detect": 41.0, "embed": 30.0, "engine in detect": 30.0, "engine in embed": 29.0}
    rounds = {HTTP_ONE: [_round(0.1, 1, steps)]}
    return Measured(rounds, {}, [inside], 0, [1.0], Memory(None, 1.0), Memory(None, 1.0))


@pytest.mark.parametrize(("promise", "kept"), [(Promise(True, 0.4), "no"), (Promise(True, 0.5), "yes")])
def test_promise_is_kept_at_its_bound(promise: Promise, kept: str) -> None:
    assert promise.kept_by(0.5) == (kept == "yes")
    assert Promise(False, promise.bound).kept_by(0.4) == (kept == "no")


def test_steps_and_the_rest_are_the_whole() -> None:
    rows = {row["step"]: row for row in step_table(_measured()).rows}
    assert rows["rest: HTTP, form, answer"]["ms"] == 9
    assert rows["whole"] == {"step": "whole", "ms": 100, "share": "100%", "of it engine": 59}
    assert rows["decode"]["share"] == "20%"
    assert (rows["detect"]["of it engine"], rows["decode"]["of it engine"]) == (30, None)


def test_markdown_has_a_line_for_each_row() -> None:
    assert markdown([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]) == "| a | b |\n| --- | --- |\n| 1 | x |\n| 2 | y |\n"


def test_json_has_the_fields_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Steps", [{"step": "open", "ms": "1.0"}])
    show_tables({"cores": "2 of 2"}, [table], as_json=True, as_markdown=False)
    assert json.loads(capsys.readouterr().out) == {"cores": "2 of 2", "Steps": [{"step": "open", "ms": "1.0"}]}
    show_tables({"cores": "2 of 2"}, [table], as_json=False, as_markdown=True)
    assert capsys.readouterr().out == "- cores: 2 of 2\n\nSteps:\n\n| step | ms |\n| --- | --- |\n| open | 1.0 |\n"


def test_cost_says_how_many_were_refused() -> None:
    busy = Round(0.0, [Done(0, 0, 0.0, 2.0), Done(1, 0, 0.0, 0.1, status=503)])
    cells = [cost.Cell(300, 1350, 1, _round(0.5, 1)), cost.Cell(300, 1350, 2, busy)]
    by_size, by_clients, rates = cost.cost_tables(cells)
    assert [row["photo kB"] for row in by_size.rows] == [300]
    assert [row["refused"] for row in by_clients.rows] == [0, 1]
    assert rates.rows == [{"kB": 300, "1": "2.0", "2": "0.5 (1)"}]


def test_growth_counts_from_the_two_thousandth_request() -> None:
    counts = {0: 200.0, 1500: 300.0, 2100: 400.0, 10_000: 500.0, 20_000: 402.0}
    samples = [flatness.Sample(requests, Memory(mb, 1.0)) for requests, mb in counts.items()]
    first, last, grown = flatness.growth(samples)
    assert (first.requests, last.requests) == (2100, 20_000)
    assert grown == pytest.approx(0.005)
    assert flatness.memory_tables(samples)[1].rows[0]["most MB"] == 500


def test_one_sample_after_memory_was_given_back_is_no_growth() -> None:
    saw = [380.0, 350.0, 378.0, 381.0, 379.0, 380.0, 382.0, 377.0, 383.0, 350.0, 380.0, 384.0]
    samples = [flatness.Sample(2000 * place, Memory(mb, 1.0)) for place, mb in enumerate([200.0, *saw])]
    # By hand: the medians of 380, 350, 378 and of 350, 380, 384.
    assert flatness.growth(samples)[2] == pytest.approx(380 / 378 - 1)
