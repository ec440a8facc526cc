"""Whatever fails while a photo is worked on, nothing of what was sent is left behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.api.verification import PATH
from daemon.audit import LOG_FIELDS
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site
from tests.end_to_end.conftest import soon
from tests.end_to_end.contract import FIRST, SECOND
from tests.end_to_end.faults import address_space_bytes, descriptors, limited, serves
from tests.end_to_end.keys import jwks
from tests.end_to_end.traces import Traces, files_below, files_open_in
from tests.running_daemon import FORM, RunningDaemon
from tests.terminals import terminal, token_proof
from tools.registry import store
from tools.sealing import jwe_sealer

_TOKEN = "canary-token-5b1e07c4"
_AT_ONCE, _REQUESTS = 8, 24
_PROGRAM_LINE = re.compile(r"\[[-0-9: +]+\] \[\d+\] \[[A-Z]+\] (Worker \(pid:\d+\) .*|WORKER TIMEOUT .*)")
"""What gunicorn says of workers that end."""

Forms = list[dict[str, str]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def daemon(site: Site, state: Path) -> Iterator[RunningDaemon]:
    """A daemon with folders of its own that knows one terminal."""
    registry = state / "terminals.yaml"
    store(registry, (terminal("till-1", token_proof(_TOKEN)),))
    changes = {"terminals": {"authentication": "bearer", "registry": str(registry)}}
    environment = {"TMPDIR": str(state / "tmp"), "HOME": str(state)}
    with RunningDaemon(site.write("faulty.yaml", **changes), state / "daemon.log", environment, state) as running:
        yield running


@pytest.fixture(scope="module")
def forms(daemon: RunningDaemon, small: dict[str, bytes], legacy: LegacyFormat) -> Forms:
    """Requests in both formats; the legacy one is not open to this terminal and is refused."""
    seal = jwe_sealer(dict(jwks(daemon)[0]))
    pairs = [("obama", "biden"), ("obama2", "obama3")]
    good = [{FIRST: seal(small[one]), SECOND: seal(small[other])} for one, other in pairs]
    return [*good, {FIRST: legacy.seal(small["obama"]), SECOND: legacy.seal(small["biden"])}]


@pytest.fixture(scope="module")
def traces(small: dict[str, bytes], forms: Forms) -> Traces:
    sealed = [text.encode() for form in forms for text in form.values()]
    return Traces([_TOKEN], [*small.values(), *sealed])


def _ask_all(daemon: RunningDaemon, forms: Forms, during: Callable[[], None]) -> None:
    """Many requests at once, and something that happens meanwhile."""

    def ask(number: int) -> None:
        with suppress(OSError):  # its worker died, or had no descriptor left
            daemon.verify(forms[number % len(forms)], {"Authorization": f"Bearer {_TOKEN}"})

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        asking = [threads.submit(ask, number) for number in range(_REQUESTS)]
        asking[0].result()
        during()


def _killed(how: signal.Signals) -> Callable[[RunningDaemon, Forms], None]:
    return lambda daemon, forms: _ask_all(daemon, forms, lambda: os.kill(daemon.worker, how))


def _out_of(what: int, least: Callable[[int], int]) -> Callable[[RunningDaemon, Forms], None]:
    def broken(daemon: RunningDaemon, forms: Forms) -> None:
        with limited(daemon.worker, what, least(daemon.worker)):
            _ask_all(daemon, forms, lambda: None)

    return broken


def _cut_off(daemon: RunningDaemon, forms: Forms) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nAuthorization: Bearer {_TOKEN}\r\nContent-Type: {FORM}\r\n"
    body = f"{FIRST}={forms[0][FIRST]}".encode()
    for cut in range(20, len(body), len(body) // 7):
        with daemon.open() as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:cut])
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)
    with daemon.open() as connection:  # no HTTP any more where the head should go on
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)


_FAULTS: dict[str, Callable[[RunningDaemon, Forms], None]] = {
    "killed": _killed(signal.SIGKILL),
    "crashed": _killed(signal.SIGSEGV),
    "aborted": _killed(signal.SIGABRT),
    "memory": _out_of(resource.RLIMIT_AS, address_space_bytes),
    "disk": _out_of(resource.RLIMIT_FSIZE, lambda _worker: 0),
    "descriptors": _out_of(resource.RLIMIT_NOFILE, descriptors),
    "cut off": _cut_off,
}


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS)
def test_nothing_of_what_was_sent_is_left_behind(
    daemon: RunningDaemon,
    forms: Forms,
    state: Path,
    traces: Traces,
    fault: Callable[[RunningDaemon, Forms], None],
) -> None:
    fault(daemon, forms)
    assert soon(lambda: serves(daemon))
    assert traces.in_files(files_below(state)) == []
    assert traces.in_files(files_open_in(daemon.worker)) == []
    assert not traces.in_bytes(daemon.get("/metrics").body)
    assert not list(state.rglob("core*"))


def test_every_line_of_the_journal_has_its_known_form(daemon: RunningDaemon) -> None:
    assert daemon.events
    assert {field for event in daemon.events for field in event} <= set(LOG_FIELDS)
    others = [line for line in daemon.log.read_text().splitlines() if not line.startswith('{"time_utc"')]
    assert [line for line in others if line and not _PROGRAM_LINE.fullmatch(line)] == []
