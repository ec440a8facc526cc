"""Text for people loses nothing that JSON for machines has."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tools.console import progress, say, show, show_rows, transfer, wait_for

FIELDS: dict[str, Any] = {"file": "[red]/srv/[/x]/:smile:.npz", "share": 0.25, "next": "go on " * 30, "none": None}
ROWS: list[dict[str, Any]] = [
    {"network": "yunet", "box_iou": 0.987},
    {"network": "sface", "embedding_cosine": 0.999},
]


def test_fields_are_shown_one_a_line_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show(FIELDS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [f"{name}: {value}" for name, value in FIELDS.items()]


def test_fields_are_shown_as_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    show(FIELDS, as_json=True)
    assert json.loads(capsys.readouterr().out) == FIELDS


def test_rows_are_shown_as_a_json_list(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_field_that_only_one_row_has_gets_a_column_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, as_json=False)
    head, yunet, sface = capsys.readouterr().out.splitlines()
    assert head.split() == ["network", "box_iou", "embedding_cosine"]
    assert yunet.index("0.987") == head.index("box_iou")
    assert sface.index("0.999") == head.index("embedding_cosine")


def test_a_value_wider_than_the_table_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "/var/lib/faceverifyd/" + "0123456789abcdef" * 12
    show_rows([{"network": "sface", "file": long}], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    column = lines[0].index("file")
    assert "".join(line[column:].strip() for line in lines[1:]) == long


def test_brackets_in_a_table_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"finding": "offers [cuda] and [/x] :smile:"}], as_json=False)
    assert "offers [cuda] and [/x] :smile:" in capsys.readouterr().out


@pytest.mark.parametrize(("as_json", "shown"), [(False, "nothing\n"), (True, "[]\n")])
def test_no_rows_are_said_to_be_none(capsys: pytest.CaptureFixture[str], as_json: bool, shown: str) -> None:
    show_rows([], as_json)
    assert capsys.readouterr().out == shown


def test_what_is_said_stays_out_of_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    say("fetching [x] " + "y" * 200)
    assert capsys.readouterr() == ("", "fetching [x] " + "y" * 200 + "\n")


def test_long_work_gives_all_items_and_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter(range(1200)), 1200, "faces")) == list(range(1200))
    assert capsys.readouterr().err.splitlines() == [
        "faces: 500 of 1200",
        "faces: 1000 of 1200",
        "faces: 1200 of 1200",
    ]


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_bar_on_a_terminal_has_no_colour_where_none_is_wanted(environment: dict[str, str], coloured: bool) -> None:
    shown = _on_a_terminal("for _ in console.progress(iter(range(3)), 3, 'faces'): time.sleep(0.15)", environment)
    assert "faces" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*[1-9][0-9]*(;[0-9]+)*m", shown)) is coloured


def _on_a_terminal(program: str, environment: dict[str, str]) -> str:
    """What a program that uses the console writes to a terminal."""
    ours, theirs = pty.openpty()
    given = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-c", f"import time; from tools import console\n{program}"],
        env=given | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment,
        stderr=theirs,
        stdout=theirs,
        check=True,
        cwd=REPOSITORY,
    )
    os.close(theirs)
    return os.read(ours, 65536).decode()


def test_a_download_has_a_bar_on_a_terminal_and_a_line_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with transfer("fetched a.whl") as report:
        report(object(), 500, 1000)
    assert capsys.readouterr().err == "fetched a.whl\n"
    program = "with console.transfer('fetched a.whl') as report:\n report(0, 500000, 1000000); time.sleep(0.3)"
    assert "0.5/1.0 MB" in _on_a_terminal(program, {"NO_COLOR": "1"})


@pytest.mark.parametrize(
    ("expected_s", "forecast"), [(41.6, "about 42 s the last time"), (None, "minutes, the first time")]
)
def test_a_wait_begins_with_how_long_it_should_take(
    expected_s: float | None, forecast: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = iter([None, None, "ready"])
    assert wait_for(lambda _within_s: next(steps), "building", expected_s) == "ready"
    assert capsys.readouterr().err == f"building; {forecast}\n"
