"""More than a device can take: it says so at once, loses nobody it has let in, and is as fast afterwards."""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from daemon.api.verification import PATH
from tests.end_to_end.conftest import Start, soon
from tests.end_to_end.contract import check_compared, check_refused, split_answers
from tests.end_to_end.faults import descriptors, limited
from tests.running_daemon import FORM, Answer, RunningDaemon

Sealed = Callable[[bytes, bytes], dict[str, str]]

_SILENT = 1000
_RESETS = 10_000
_OVER = 160
"""Requests at once; the shipped limits let 32 in."""

_HEAD = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nContent-Type: {FORM}\r\nContent-Length: "


@pytest.fixture(scope="module", autouse=True)
def _many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def busy(start: Start) -> RunningDaemon:
    """A daemon with the limits as shipped."""
    return start("saturated")


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


@pytest.fixture(scope="module")
def score(busy: RunningDaemon, pair: dict[str, str]) -> float:
    return check_compared(busy.verify(pair))


@contextmanager
def _held(daemon: RunningDaemon, number: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        held = [stack.enter_context(daemon.open()) for _ in range(number)]
        for connection in held:
            connection.sendall(sent)
        yield held


def _asking_again(daemon: RunningDaemon, form: dict[str, str]) -> Answer:
    """A newcomer may be the one that makes room, until those that trickle are cut off after a second."""
    for _ in range(20):
        with suppress(OSError):
            return daemon.verify(form)
        time.sleep(0.2)
    return daemon.verify(form)


def test_terminal_is_served_behind_a_thousand_silent_connections(
    busy: RunningDaemon, pair: dict[str, str], score: float
) -> None:
    with _held(busy, _SILENT):
        assert check_compared(busy.verify(pair)) == score


@pytest.mark.parametrize("begun", ["POST /identity", f"{_HEAD}100000\r\n\r\nfirst_encrypted"])
def test_terminal_is_served_among_hundreds_that_drip(
    busy: RunningDaemon, pair: dict[str, str], score: float, begun: str
) -> None:
    with _held(busy, 400, begun.encode()):
        assert check_compared(_asking_again(busy, pair)) == score


def test_ten_thousand_resets_leave_nothing_behind(busy: RunningDaemon, pair: dict[str, str], score: float) -> None:
    worker, before = busy.worker, descriptors(busy.worker)
    for number in range(_RESETS):
        connection = busy.open()
        if number % 2:
            connection.sendall(b"POST /identity")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets now
        connection.close()
    assert check_compared(busy.verify(pair)) == score
    assert soon(lambda: descriptors(worker) <= before + 2)
    assert busy.worker == worker
    assert not [event for event in busy.events if event["event"] == "fault"]


def test_worker_without_descriptors_lives_on_and_says_once_what_to_do(
    busy: RunningDaemon, pair: dict[str, str], score: float
) -> None:
    worker = busy.worker
    with limited(worker, resource.RLIMIT_NOFILE, descriptors(worker)), _held(busy, 20, b"POST"):
        time.sleep(1)
    assert check_compared(busy.verify(pair)) == score
    assert busy.worker == worker
    (told,) = [event for event in busy.events if "no descriptor" in event.get("reason", "")]
    assert "LimitNOFILE" in told["remedy"]


def test_body_without_room_in_memory_is_refused_before_a_byte_of_it_is_sent(start: Start, pair: dict[str, str]) -> None:
    daemon = start("no-room", server={"body_limit_bytes": 1 << 20, "bodies_limit_bytes": 1 << 20})
    with daemon.open() as holding, daemon.open() as refused:
        holding.sendall(f"{_HEAD}{1 << 20}\r\n\r\na=".encode())
        time.sleep(0.4)  # by then a thread reads it; after a second it would be hurried
        refused.sendall(f"{_HEAD}100\r\n\r\n".encode())
        said = b""
        while not said.endswith(b"}") and (part := refused.recv(65536)):  # head and body may come apart
            said += part
        (answer,) = split_answers(said)
        check_refused(answer, 5003, status=503)
    assert soon(lambda: daemon.verify(pair).status == 200)  # who held the memory has gone


def _burst(daemon: RunningDaemon, form: dict[str, str]) -> list[tuple[Answer, float]]:
    def timed(_number: int) -> tuple[Answer, float]:
        began_s = time.monotonic()
        return daemon.verify(form), time.monotonic() - began_s

    with ThreadPoolExecutor(_OVER) as threads:
        return list(threads.map(timed, range(_OVER)))


def test_what_is_over_is_told_at_once_how_long_the_queue_is(
    busy: RunningDaemon, pair: dict[str, str], score: float
) -> None:
    answers = _burst(busy, pair)
    let_in = [answer for answer, _ in answers if answer.status == 200]
    assert {check_compared(answer) for answer in let_in} == {score}
    refused: list[Any] = [(answer, took_s) for answer, took_s in answers if answer.status != 200]
    assert refused
    for answer, _ in refused:
        check_refused(answer, 5003, status=503)
    # What waits behind a full queue is what is worked on and waits, a few at a time: 28 waiting, 4 at once.
    usual_s = sum(event["duration_ms"] for event in busy.events if event.get("code") == 1000) / 1000
    assert max(int(answer.headers["retry-after"]) for answer, _ in refused) <= max(1, usual_s)
    assert check_compared(busy.verify(pair)) == score
