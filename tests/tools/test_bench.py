"""`fvctl bench opening` compares every reason of a refusal with every other, for each kind of key."""

from __future__ import annotations

import json

import pytest

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


def test_a_count_that_is_no_number_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "opening", "--rounds", "many"])
    assert ended.value.code == 64  # source: EX_USAGE of sysexits.h
