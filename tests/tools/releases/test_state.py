"""The state survives whatever stops a command, and one command at a time changes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tools.releases.state import NEW_DEVICE, Ledger, Operation, Step, alone


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.state == NEW_DEVICE
    operation = Operation("install", "2.0", "1.0", "/media/stick", Step.FETCH, "2026-01-01T00:00:00+00:00", "")
    ledger.change(current="1.0", floor="0.9", failed=("1.5",), operation=operation)
    ledger.begin(Step.GATE)
    assert Ledger(tmp_path).state == ledger.state
    assert ledger.state.operation is not None
    assert ledger.state.operation.step is Step.GATE


def test_a_state_that_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"current": 7}')
    with pytest.raises(ReleaseRefused, match="cannot be read"):
        Ledger(tmp_path)


def test_a_line_of_the_history_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.tell("begun", version="1.0")
    with (tmp_path / "history.jsonl").open("a") as history:
        history.write('{"utc": "2026-')
    assert [line["event"] for line in ledger.history()] == ["begun"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ReleaseRefused, match="another fvctl release is at work"), alone(tmp_path, 0):
        pass
    with alone(tmp_path, 0):
        pass


def test_what_a_killed_command_started_still_holds_the_lock(tmp_path: Path) -> None:
    with alone(tmp_path):
        left = subprocess.Popen(["sleep", "60"], close_fds=False)
    with pytest.raises(ReleaseRefused, match="at work"), alone(tmp_path, 0.3):
        pass
    left.kill()
    left.wait()
    with alone(tmp_path, 5):
        pass
