"""The patient worker under a real gunicorn, with an application that only answers: nobody can hold it."""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.running_daemon import free_port

_THREADS, _CONNECTIONS = 2, 8
_SETTINGS = f"""
worker_class = "daemon.connections.PatientWorker"
threads, worker_connections, keepalive = {_THREADS}, {_CONNECTIONS}, 60
control_socket_disable = True

def post_fork(server, worker):
    worker.receive_s = 60.0
"""
_APPLICATION = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/read":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
_GET = b"GET / HTTP/1.1\r\nHost: device\r\n\r\n"
_AT_ONCE_S = 5.0
"""Nobody is let go before a minute has passed, but for the sake of others: an answer within this was not waited for."""


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def open(self, *sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=_AT_ONCE_S)
        for part in sent:
            connection.sendall(part)
        return connection

    def serves(self) -> bool:
        with self.open(_GET) as connection:
            return _is_answered(connection)

    @property
    def worker(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    (folder / "settings.py").write_text(_SETTINGS + f"bind = ['127.0.0.1:{port}']\n")
    (folder / "answering.py").write_text(_APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "-c", "settings.py", "answering:application"]
    with (folder / "log").open("wb") as log:
        environment = {"PYTHONPATH": f"{Path(__file__).resolve().parents[2]}"}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    made = _Server(process, port, folder / "log")
    for _ in range(200):
        with suppress(OSError):
            if made.serves():
                break
        time.sleep(0.05)
    yield made
    process.terminate()
    assert process.wait(20) == 0
    assert "Traceback" not in made.log.read_text()


def _is_answered(connection: socket.socket) -> bool:
    """Whether the next answer comes, all of it."""
    got = b""
    while not got.endswith(b"ok"):
        part = connection.recv(65536)
        if not part:
            return False
        got += part
    return got.startswith(b"HTTP/1.1 200 OK")


def _serves_who_asks_again(server: _Server) -> bool:
    """A newcomer may be the one that makes room, until those that trickle are cut off after a second."""
    until = time.monotonic() + _AT_ONCE_S
    while time.monotonic() < until:
        with suppress(OSError):
            if server.serves():
                return True
        time.sleep(0.1)
    return False


@contextmanager
def _held(server: _Server, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(server.open(sent)) for _ in range(number)]


def test_silent_connections_hold_no_thread(server: _Server) -> None:
    with _held(server, _THREADS + 1, b""):
        assert server.serves()


def test_at_the_limit_the_connection_that_is_silent_longest_makes_room(server: _Server) -> None:
    with _held(server, 10 * _CONNECTIONS, b"") as silent:
        assert server.serves()
        assert silent[0].recv(1) == b""


def test_connections_that_are_kept_make_room_too(server: _Server) -> None:
    with _held(server, 10 * _CONNECTIONS, _GET):
        assert server.serves()


def test_newcomer_is_waited_for_where_all_others_asked_before(server: _Server) -> None:
    with _held(server, 10 * _CONNECTIONS, _GET), server.open() as newcomer:
        time.sleep(0.5)
        newcomer.sendall(_GET)
        assert _is_answered(newcomer)


def test_a_crowd_of_newcomers_makes_room_before_who_asked(server: _Server) -> None:
    time.sleep(0.5)  # until there is room
    with server.open(_GET) as asked, _held(server, 10 * _CONNECTIONS, b""):
        assert _is_answered(asked)
        asked.sendall(_GET)
        assert _is_answered(asked)


def test_newcomers_that_say_nothing_are_not_waited_for_long(server: _Server) -> None:
    time.sleep(0.5)  # until there is room
    with server.open(_GET) as asked, _held(server, _CONNECTIONS - 2, b""):
        assert _is_answered(asked)
        time.sleep(1.5)
        assert server.serves()
        asked.sendall(_GET)
        assert _is_answered(asked)


@pytest.mark.parametrize("begun", [b"G", b"POST / HTTP/1.1\r\nHost: device\r\nContent-Length: 100\r\n\r\na"])
def test_requests_that_trickle_do_not_keep_others_waiting(server: _Server, begun: bytes) -> None:
    with _held(server, _CONNECTIONS - 1, begun):
        assert _serves_who_asks_again(server)


def test_request_that_trickles_is_waited_for_while_nobody_else_waits(server: _Server) -> None:
    with server.open() as connection:
        for byte in (_GET[at : at + 1] for at in range(len(_GET))):
            connection.sendall(byte)
            time.sleep(0.1)
        assert _is_answered(connection)


def test_peers_that_never_hang_up_keep_nobody_waiting(server: _Server) -> None:
    last = _GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with _held(server, _CONNECTIONS - 1, last):
        began = time.monotonic()
        for _ in range(_CONNECTIONS):
            assert server.serves()
        assert time.monotonic() - began < 1, "a peer has two seconds to hang up, beside everything else"


def test_answer_to_a_body_that_was_not_read_arrives_though_the_peer_still_sends(server: _Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: device\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n"
    with server.open(head) as connection:
        for _ in range(80):
            connection.sendall(bytes(100_000))
        assert _is_answered(connection)


@pytest.mark.parametrize(("body_bytes", "ends"), [(60_000, False), (8_000_000, True)])
def test_answer_to_a_long_body_that_was_not_read_says_that_the_connection_ends(
    server: _Server, body_bytes: int, ends: bool
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: device\r\nContent-Length: %d\r\n\r\n" % body_bytes
    with server.open(head, bytes(body_bytes)) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert (b"\r\nConnection: close\r\n" in answer) is ends


def test_thousands_of_resets_leave_no_connection_counted(server: _Server) -> None:
    for number in range(3000):
        connection = server.open(b"" if number % 3 else _GET[: number % 17])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets now
        connection.close()
    assert server.serves()  # all before it have been taken
    time.sleep(0.5)  # and are gone
    with _held(server, _CONNECTIONS - 2, b"") as silent:
        assert server.serves()
        silent[0].settimeout(0.2)
        with pytest.raises(TimeoutError):  # there is room: nobody was let go
            silent[0].recv(1)


def test_worker_without_descriptors_lives_on_and_serves_again(server: _Server) -> None:
    worker, held = server.worker, len(list(Path(f"/proc/{server.worker}/fd").iterdir()))
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (held + 1, before[1]))
    with _held(server, _THREADS + 2, b"G"):
        time.sleep(0.5)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
    assert server.serves()
    assert server.worker == worker


def _expecting(path: str, length: int = 3) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: device\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode()


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _answers(connection: socket.socket, number: int) -> bytes:
    """So many whole answers and what comes before them; head and body of one may come apart."""
    stream = b""
    while stream.count(b"\r\n\r\nok") < number and (part := connection.recv(65536)):
        stream += part
    return stream


def test_who_waits_to_be_asked_for_a_body_is_asked_once_when_it_is_read(server: _Server) -> None:
    with server.open(_expecting("/read", 200_000)) as connection:
        assert connection.recv(65536) == _CONTINUE
        connection.sendall(bytes(200_000))
        assert _answers(connection, 1).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(_GET)
        assert _answers(connection, 1).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("length", [3, 16_000_000])
def test_who_waits_to_be_asked_for_a_body_that_nobody_reads_is_not_asked(server: _Server, length: int) -> None:
    with server.open(_expecting("/", length)) as connection:
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in said
    assert _CONTINUE not in said


def test_who_sends_its_body_without_waiting_is_answered(server: _Server) -> None:
    with server.open(_expecting("/read") + b"abc" + _GET) as connection:
        assert _answers(connection, 2).count(b"HTTP/1.1 200 OK") == 2
