"""`fvctl bench` measures everything it shows; `opening` compares every reason of a refusal with every other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Site
from tools.benchmark.race import OPENCV_FULL, OPENCV_SMALL
from tools.cli import main

_REFUSALS, _KINDS = 5, 4


def test_every_two_refusals_are_compared_for_each_kind_of_key(capsys: pytest.CaptureFixture[str]) -> None:
    # So few rounds say nothing of the times; 1 is a finding and no failure.
    assert main(["bench", "opening", "--rounds", "5", "--bytes", "2000", "--json"]) in (0, 1)
    (measured,) = json.loads(capsys.readouterr().out)
    assert len(measured["refusals"]) == _KINDS * _REFUSALS * (_REFUSALS - 1) // 2
    assert len(measured["medians"]) == _KINDS * (_REFUSALS + 1)
    assert {row["key"] for row in measured["medians"]} == {"x25519", "p-256", "rsa", "dir"}
    assert min(row["median_us"] for row in measured["medians"]) > 0


def _few(command: str, site: Site) -> list[str]:
    return [*command.split(), "--config", str(site.write("bench.yaml")), "--json"]


def test_whole_run_measures_every_contender_and_every_promise(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = "bench --rounds 1 --round-seconds 0.01 --sizes 40 --clients 2 --seconds 1 --over-seconds 0.2 --starts 1"
    plot = tmp_path / "load.svg"
    assert main([*_few(few, site), "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    by_title = {title.partition(":")[0].partition(";")[0]: rows for title, rows in found.items()}
    contenders = by_title["Contenders in turns"]
    assert [row["contender"].partition(" ")[0] for row in contenders].count("OpenCV") == 6
    assert all(row["per s"] > 0 and row["p99"] >= row["p50"] > 0 and row["processor ms"] > 0 for row in contenders)
    figures = {row["figure"]: row["measured"] for row in by_title["Figures"]}
    assert {OPENCV_FULL, OPENCV_SMALL} <= {name.partition(" / ")[2].partition(",")[0] for name in figures}
    assert figures["seconds from start to ready, median"] > 0
    assert [row["offered"] for row in by_title["Open loop"]] == ["30%", "50%", "70%", "85%", "100%", "120%", "150%"]
    assert {row["failed"] for row in by_title["Open loop"]} == {0}
    assert plot.read_text().startswith("<?xml")


def test_cost_is_of_every_size_with_every_number_of_clients(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_few("bench cost --sizes 40 --clients 1 2 --seconds 0.01", site)) == 0
    found = json.loads(capsys.readouterr().out)
    rates = found["Verifications per second by photo kB and clients; in brackets, refused"]
    assert [(row["kB"], float(row["1"]) > 0, float(row["2"]) > 0) for row in rates] == [(40, True, True)]


def test_memory_is_looked_at_after_the_last_request(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    # So few requests are still warming up; 1 is a finding and no failure.
    assert main(_few("bench memory --requests 8 --clients 2 --sizes 40", site)) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert [row["requests"] for row in found["Memory by requests"]] == [0, 8]


def test_a_count_that_is_no_number_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "opening", "--rounds", "many"])
    assert ended.value.code == 64  # source: EX_USAGE of sysexits.h
