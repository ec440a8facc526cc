"""Hostile photos over HTTP: each gets its code, the worker stays the same one, and the next photo is compared."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.sealed.legacy import LegacyFormat
from tests.end_to_end.conftest import Ask
from tests.end_to_end.contract import FIRST, SECOND, check_compared, check_refused
from tests.fuzz.bombs import bombs
from tests.fuzz.campaign import hostile_photos
from tests.running_daemon import Answer, RunningDaemon

_COUNT = 300

Sealed = Callable[[bytes, bytes], dict[str, str]]


@pytest.fixture(scope="module")
def answers(daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes]) -> dict[str, Answer]:
    """An answer for each photo, hostile photo first; four are asked for at the same time."""
    daemon.worker  # noqa: B018 - there is one
    photos = dict(hostile_photos(2, _COUNT))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda photo: daemon.verify(sealed(photo, small["obama"])), photos.values())
        return dict(zip(photos, found, strict=True))


def test_each_hostile_photo_is_compared_or_refused(answers: dict[str, Answer]) -> None:
    for answer in answers.values():
        if answer.status == 200:
            check_compared(answer)
        else:
            check_refused(answer, answer.json["code"], field=FIRST)
    assert {answer.json["code"] for answer in answers.values()} <= {1000, 2003, 2005, 4000}


def test_the_next_photo_is_compared_by_the_same_worker(
    daemon: RunningDaemon, answers: dict[str, Answer], ask: Ask, small: dict[str, bytes]
) -> None:
    assert len(answers) == _COUNT
    check_compared(ask(small["obama"], small["biden"]))
    assert not [event for event in daemon.events if event["event"] == "fault"]


def test_a_hostile_photo_two_is_named(daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes]) -> None:
    answer = daemon.verify(sealed(small["obama"], bombs()["100,000 scans"]))
    check_refused(answer, 2005, field=SECOND)


def test_a_decoder_that_is_ended_from_outside_costs_no_request(
    daemon: RunningDaemon, ask: Ask, small: dict[str, bytes], legacy: LegacyFormat
) -> None:
    check_compared(ask(small["obama"], small["biden"]))
    template = Path(f"/proc/{daemon.worker}/task/{daemon.worker}/children").read_text().split()
    assert len(template) == 1

    os.kill(int(template[0]), signal.SIGKILL)
    check_compared(ask(small["obama"], small["biden"]))
