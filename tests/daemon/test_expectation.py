"""A body is asked for once, when it is read; tests/daemon/test_connections.py asks the whole server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.unreader import IterUnreader

from daemon.expectation import AskingReader

_BODY = b"photo"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the device's, and a sender's that waits to be asked."""
    device, sender = socket.socketpair()
    with device, sender:
        sender.setblocking(False)
        yield device, sender


def _reader(asks: socket.socket | None) -> AskingReader:
    return AskingReader(LengthReader(IterUnreader([_BODY]), len(_BODY)), asks)


def _said(sender: socket.socket) -> bytes:
    try:
        return sender.recv(65536)
    except BlockingIOError:
        return b""


def test_nothing_is_said_before_the_body_is_read(ends: tuple[socket.socket, socket.socket]) -> None:
    reader = _reader(ends[0])
    assert (reader.length, reader.asks, _said(ends[1])) == (len(_BODY), ends[0], b"")


def test_a_body_is_asked_for_once(ends: tuple[socket.socket, socket.socket]) -> None:
    reader = _reader(ends[0])
    assert reader.read(2) + reader.read(3) == _BODY
    assert (reader.length, reader.asks) == (0, None)
    assert _said(ends[1]) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_who_does_not_wait_is_not_asked() -> None:
    assert _reader(None).read(5) == _BODY


def test_a_chunked_body_has_no_length() -> None:
    assert AskingReader(ChunkedReader(None, IterUnreader([])), None).length == 0
