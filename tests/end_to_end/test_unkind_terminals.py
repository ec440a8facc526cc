"""Terminals that stall, vanish or go on talking harm nobody but themselves."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from daemon.api.verification import PATH
from tests.end_to_end.conftest import Start
from tests.end_to_end.contract import check_compared, check_refused, split_answers
from tests.end_to_end.photos import encoded
from tests.running_daemon import RunningDaemon

Sealed = Callable[[bytes, bytes], dict[str, str]]

_THREADS = 4
_HEAD = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nContent-Length: 100000\r\nContent-Type: "
_HALVES = {
    "half a head": b"POST /identity",
    "half a form": f"{_HEAD}application/x-www-form-urlencoded\r\n\r\na=b".encode(),
    "half a multipart form": f"{_HEAD}multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode(),
    "half a document": f'{_HEAD}application/json\r\n\r\n{{"a'.encode(),
}


@pytest.fixture(scope="module")
def few_threads(start: Start) -> RunningDaemon:
    """A daemon that a few stalled terminals can occupy, and that waits a second for them."""
    admission = {"running": 2, "waiting": 1}
    return start("few", server={"threads": _THREADS, "receive_s": 1.0}, admission=admission)


def _connected(daemon: RunningDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=60)


@pytest.mark.parametrize("half", _HALVES.values(), ids=_HALVES)
def test_stalled_terminals_do_not_keep_others_from_being_served(
    few_threads: RunningDaemon, sealed: Sealed, small: dict[str, bytes], half: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(_THREADS):
            stack.enter_context(_connected(few_threads)).sendall(half)
        check_compared(few_threads.verify(sealed(small["obama"], small["biden"])))


def test_stalled_terminal_is_told_that_its_body_ended_early(few_threads: RunningDaemon) -> None:
    with _connected(few_threads) as connection:
        connection.sendall(_HALVES["half a form"])
        stream = b"".join(iter(lambda: connection.recv(65536), b""))
    answers = split_answers(stream)
    assert len(answers) == 1
    check_refused(answers[0], 1200)


@pytest.mark.parametrize("half", _HALVES.values(), ids=_HALVES)
def test_terminal_that_vanishes_is_no_fault_of_the_device(few_threads: RunningDaemon, half: bytes) -> None:
    connection = _connected(few_threads)
    connection.sendall(half)
    few_threads.get("/healthz")  # by then the worker is reading what was sent before
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets now
    connection.close()
    for _ in range(2 * _THREADS):
        few_threads.get("/healthz")
    assert not [event for event in few_threads.events if event["event"] == "fault" or event.get("code") == 5000]
    assert "Traceback" not in few_threads.log.read_text()


@pytest.mark.parametrize("rest", [b"not a chunk\r\n", b"5\r\nab", b"FFFFFFFFFFFFFFFFF\r\n"])
def test_body_that_was_refused_unread_gets_no_second_answer(few_threads: RunningDaemon, rest: bytes) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answers = split_answers(few_threads.raw(head + rest))
    assert len(answers) == 1
    check_refused(answers[0], 1200, status=411)


def test_two_requests_on_one_connection_get_their_own_answers(few_threads: RunningDaemon) -> None:
    one = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    other = "GET /nowhere HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n"
    answers = split_answers(few_threads.raw((one + other).encode()))
    assert [answer.json["code"] for answer in answers] == [1200, 2000]


def test_what_a_decoder_says_of_a_damaged_photo_does_not_get_into_the_journal(
    few_threads: RunningDaemon, sealed: Sealed, small: dict[str, bytes]
) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8))
    photo = bytearray(encoded(noise, "TIFF", compression="tiff_adobe_deflate"))
    photo[600:900] = bytes(300)  # libtiff: "ZIPDecode: Decoding error at scanline ..."
    check_refused(few_threads.verify(sealed(bytes(photo), small["obama"])), 2005, field="first_encrypted_image")
    lines = few_threads.log.read_text().splitlines()
    assert lines
    assert all(line.startswith('{"time_utc": ') and line.endswith("}") for line in lines)
