"""Rows of the contract's table that come from who asks, how often, and how the device is."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from daemon.api.verification import PATH
from tests.conftest import Site
from tests.end_to_end.conftest import Start
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.photos import plain
from tests.running_daemon import Answer, RunningDaemon
from tests.terminals import terminal, token_proof
from tools.registry import store

Sealed = Callable[[bytes, bytes], dict[str, str]]

_TOKEN = "of the terminal at counter 3"
_AT_ONCE = 8


@pytest.fixture(scope="module")
def guarded(site: Site, start: Start) -> RunningDaemon:
    """A daemon that knows one terminal."""
    registry = site.folder / "terminals.yaml"
    store(registry, (terminal("counter-3", token_proof(_TOKEN), legacy_until=date.max),))
    return start("guarded", terminals={"authentication": "bearer", "registry": str(registry)})


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer of the terminal at counter 4"},
        {"Authorization": f"Basic {_TOKEN}"},
        {"Authorization": _TOKEN},
    ],
)
def test_terminal_that_is_not_known_is_refused(
    guarded: RunningDaemon, pair: dict[str, str], headers: dict[str, str]
) -> None:
    answer = guarded.verify(pair, headers)
    check_refused(answer, 1100, status=401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_terminal_that_is_known_is_served(guarded: RunningDaemon, pair: dict[str, str], scheme: str) -> None:
    check_compared(guarded.verify(pair, {"Authorization": f"{scheme} {_TOKEN}"}))
    assert guarded.events[-1]["terminal"] == "counter-3"


@pytest.mark.parametrize(
    "rest",
    [
        ("GET", {}),
        ("POST", {"Content-Length": str(10**9)}),
        ("POST", {"Transfer-Encoding": "chunked"}),
        ("POST", {"Content-Type": "text/plain", "Content-Length": "0"}),
    ],
)
def test_credential_is_checked_before_method_and_length(
    guarded: RunningDaemon, rest: tuple[str, dict[str, str]]
) -> None:
    check_refused(guarded.request(rest[0], PATH, None, rest[1]), 1100, status=401)


def test_terminal_that_asks_too_often_is_told_when_to_come_back(start: Start, pair: dict[str, str]) -> None:
    daemon = start("impatient", terminals={"requests_per_minute": 2, "burst": 1})
    check_compared(daemon.verify(pair))
    answer = daemon.verify(pair)
    check_refused(answer, 1002, status=429)
    assert 1 <= int(answer.headers["retry-after"]) <= 30


def _at_once(daemon: RunningDaemon, form: dict[str, str]) -> list[Answer]:
    barrier = threading.Barrier(_AT_ONCE)

    def ask(_number: int) -> Answer:
        barrier.wait()
        return daemon.verify(form)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(ask, range(_AT_ONCE)))


@pytest.mark.parametrize(
    ("admission", "known"),
    [
        ({"running": 1, "waiting": 0, "deadline_s": 10.0}, {"queue full"}),
        (
            {"running": 1, "waiting": _AT_ONCE, "deadline_s": 0.05},
            {"deadline passed in the queue", "deadline would pass in the queue"},
        ),
    ],
)
def test_request_beyond_what_the_device_can_take_is_told_to_come_back(
    start: Start, sealed: Sealed, admission: dict[str, Any], known: set[str]
) -> None:
    daemon = start(f"busy{admission['waiting']}", admission=admission)
    slow = sealed(plain(2500, 2500), plain(2500, 2500)) | {"auto_rotate": "true"}
    answers = _at_once(daemon, slow)
    worked_on = [answer for answer in answers if answer.status == 400]
    sent_away = [answer for answer in answers if answer.status != 400]
    assert worked_on
    assert sent_away
    for answer in sent_away:
        check_refused(answer, 5003, status=503)
    reasons = [event["reason"] for event in daemon.events if event.get("code") == 5003]
    assert len(reasons) == len(sent_away)
    assert set(reasons) <= known


@contextmanager
def _memory_of(daemon: RunningDaemon, spare_bytes: int) -> Iterator[None]:
    """The worker may have so many bytes more of address space than it has now."""
    status = Path(f"/proc/{daemon.worker}/status").read_text()
    now_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize:"))
    before = resource.prlimit(daemon.worker, resource.RLIMIT_AS)
    resource.prlimit(daemon.worker, resource.RLIMIT_AS, (now_kib * 1024 + spare_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.worker, resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def short_of_memory(start: Start, pair: dict[str, str]) -> RunningDaemon:
    """A daemon that has warmed up: what it needs the first time only is there."""
    daemon = start("short", server={"threads": 3}, admission={"running": 1, "waiting": 1, "deadline_s": 10.0})
    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            for answer in threads.map(lambda _number: daemon.verify(pair), range(2)):
                check_compared(answer)
    return daemon


def test_fault_of_the_device_is_an_internal_error_and_says_no_more(
    short_of_memory: RunningDaemon, sealed: Sealed, small: dict[str, bytes]
) -> None:
    """The fault is a real one: the kernel refuses the worker the memory for the pixels of a large photo."""
    large = sealed(plain(5000, 5000), small["obama"])
    with _memory_of(short_of_memory, 30 << 20):
        answer = short_of_memory.verify(large)
    check_refused(answer, 5000, status=500)
    fault = [event for event in short_of_memory.events if event["event"] == "fault"][-1]
    assert set(fault) == {"time_utc", "level", "event", "request_id", "error", "frames"}
    assert fault["request_id"] == answer.json["request_id"]


def test_device_serves_again_once_the_fault_is_over(
    short_of_memory: RunningDaemon, sealed: Sealed, small: dict[str, bytes], pair: dict[str, str]
) -> None:
    before = check_compared(short_of_memory.verify(pair))
    with _memory_of(short_of_memory, 30 << 20):
        short_of_memory.verify(sealed(plain(5000, 5000), small["obama"]))
    assert check_compared(short_of_memory.verify(pair)) == before


def test_device_whose_network_failed_proves_itself_before_it_is_ready_again(
    short_of_memory: RunningDaemon, sealed: Sealed, small: dict[str, bytes]
) -> None:
    """The network fails for real: memory is given back step by step until its input fits and its work does not."""
    needs_much = sealed(small["obama"], plain(640, 640))
    for spare_mib in range(4, 200, 4):
        with _memory_of(short_of_memory, spare_mib << 20):
            answer = short_of_memory.verify(needs_much)
        faults = [event for event in short_of_memory.events if event["event"] == "fault"]
        if answer.status == 500 and any("inference/network.py" in frame for frame in faults[-1]["frames"]):
            break
    check_refused(answer, 5000, status=500)
    ready = short_of_memory.get("/readyz")  # memory is back: the golden vectors agree again
    assert (ready.status, ready.json["ready"], ready.json["reasons"]) == (200, True, [])
