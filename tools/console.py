"""How tools speak: text for people, the same fields as JSON for machines, progress on long work.

The one owner of rich. Exit codes: 0 all well, 1 something needs doing, 2 could not run, 64 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

OK, NEEDS_DOING, COULD_NOT_RUN, WRONG_USAGE = 0, 1, 2, 64
"""Exit codes, the same for every tool. Source of 64: EX_USAGE of sysexits.h."""

T = TypeVar("T")
Action = Callable[[argparse.Namespace, Any], int]
"""What one action of a sub-command does with the command line and the configuration; its exit code."""

_PLAIN_EVERY = 500
"""Items between two lines of progress where the output is no terminal."""

_STEP_S = 0.25
_PLAIN_EVERY_S = 30.0
"""How often a wait is looked at, and seconds between two lines of it where the output is no terminal."""

_errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
_output = Console(highlight=False, soft_wrap=True, emoji=False)


class Parser(argparse.ArgumentParser):
    """A command line whose faults end with the exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Usage and the fault, with the exit code for wrong usage."""
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"{self.prog}: {message}\n")


def actions(
    parser: argparse.ArgumentParser, required: bool = True
) -> Callable[[str, Action, str], argparse.ArgumentParser]:
    """Give a sub-command actions of its own: a function that adds one and gives its parser.

    What every sub-command takes (--json, --config) may stand behind the action too.

    Args:
        parser: of the sub-command.
        required: whether it does nothing without one; where not, the sub-command sets `act` itself.
    """
    choices = parser.add_subparsers(dest="action", required=required, parser_class=Parser)

    def add(name: str, act: Action, summary: str) -> argparse.ArgumentParser:
        """One action more."""
        action = choices.add_parser(name, help=summary, description=summary)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        action.set_defaults(act=act)
        return action

    return add


def say(text: str) -> None:
    """One line of progress for people, on standard error, so that results stay alone on standard output."""
    _errors.print(text, markup=False)


def show(fields: dict[str, Any], as_json: bool) -> None:
    """A result: `name: value` lines, or one JSON object with the same fields."""
    if as_json:
        sys.stdout.write(json.dumps(fields, indent=2, default=str) + "\n")
        return
    for name, value in fields.items():
        _output.print(f"{name}: {value}", markup=False)


def show_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """A table of results, or a JSON list with the same fields; a field that a row lacks is empty in the table."""
    if as_json or not rows:
        sys.stdout.write(json.dumps(list(rows), indent=2, default=str) + "\n" if as_json else "nothing\n")
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(row.get(name, ""))) for name in names))
    _output.print(table)


def show_findings(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Answers to doctor's questions: a line each and what to do below it, or a JSON list with all fields."""
    if as_json:
        show_rows(rows, True)
        return
    marks = {"ok": "ok", "needs_doing": "!!", "not_applicable": "--", "unknown": "??"}
    for row in rows:
        _output.print(f"{marks[row['status']]} {row['id']}: {row['seen']}", markup=False)
        if row["remedy"]:
            _output.print(f"   -> {row['remedy']}", markup=False)


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items one by one: a bar on a terminal, a line now and then elsewhere."""
    if not _errors.is_terminal:
        for done, item in enumerate(items, 1):
            yield item
            if done % _PLAIN_EVERY == 0 or done == total:
                say(f"{what}: {done} of {total}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True) as bar:
        yield from bar.track(items, total=total, description=what)


class Report(Protocol):
    """Is told how far a download is."""

    def __call__(self, link: object, completed: int, total: int | None) -> None:
        """So many bytes of so many are here; what is downloaded is the caller's to know."""


@contextmanager
def transfer(what: str) -> Iterator[Report]:
    """A download, to be reported on: a bar on a terminal, a line when it is done elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def report(link: object, completed: int, total: int | None) -> None:
            """Move the bar."""
            bar.update(task, completed=completed, total=total)

        yield report
    if not _errors.is_terminal:
        say(what)


def wait_for(ended: Callable[[float], T | None], what: str, expected_s: float | None) -> T:
    """What is waited for, with progress against how long it should take.

    Args:
        ended: waits for so many seconds; gives None while it is not there.
        what: is being done.
        expected_s: how long it took the last time; None where that is not known.
    """
    began = time.monotonic()
    say(f"{what}; {_forecast(expected_s)}")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=_errors,
        transient=True,
        disable=not _errors.is_terminal,
    ) as bar:
        task, told = bar.add_task(what, total=expected_s), began
        while (found := ended(_STEP_S)) is None:
            now = time.monotonic()
            bar.update(task, completed=now - began)
            if not _errors.is_terminal and now - told >= _PLAIN_EVERY_S:
                told = now
                say(f"{what}: {now - began:.0f} s; {_forecast(expected_s)}")
    return found


def _forecast(expected_s: float | None) -> str:
    return f"about {expected_s:.0f} s the last time" if expected_s else "minutes, the first time"
