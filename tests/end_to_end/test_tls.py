"""TLS in a real gunicorn: what it refuses, what it survives, and new certificates under load."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from daemon.api.verification import PATH
from tests.certificates import NOW, TlsSite, new_authority, new_tls_site
from tests.conftest import Site
from tests.end_to_end.conftest import Start, soon
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.photos import plain
from tests.running_daemon import FORM, Answer, RunningDaemon

Sealed = Callable[[bytes, bytes], dict[str, str]]

_THREADS = 4


@pytest.fixture(scope="module")
def tls_site(tmp_path_factory: pytest.TempPathFactory) -> TlsSite:
    return new_tls_site(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def daemon(start: Start, tls_site: TlsSite) -> RunningDaemon:
    """A daemon of few threads that speaks TLS and waits a second for what stalls."""
    server = {"tls": tls_site.document, "threads": _THREADS, "receive_s": 1.0}
    return start("tls", tls=tls_site.terminal(), server=server, admission={"running": 2, "waiting": 1})


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


def _failures(daemon: RunningDaemon) -> list[str]:
    return [event["reason"] for event in daemon.events if event["event"] == "tls_failed"]


def _tells_last(daemon: RunningDaemon, reason: str) -> bool:
    """Whether this is the journal's last failure; the line may come after the terminal was turned away."""
    return soon(lambda: _failures(daemon)[-1:] == [reason])


def _plain(daemon: RunningDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.port), timeout=30)


def _hello(tls_site: TlsSite) -> bytes:
    """What a terminal says first."""
    nothing, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls_site.terminal().wrap_bio(nothing, said, server_hostname="localhost").do_handshake()
    return said.read()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(daemon: RunningDaemon, tls_site: TlsSite) -> None:
    old = tls_site.terminal()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        daemon.seen_by(old).get("/healthz")
    assert _tells_last(daemon, "UNSUPPORTED_PROTOCOL")


@pytest.mark.parametrize("suite", ["AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA"])
def test_suite_that_is_not_modern_is_refused(daemon: RunningDaemon, tls_site: TlsSite, suite: str) -> None:
    weak = tls_site.terminal()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        daemon.seen_by(weak).get("/healthz")
    assert _tells_last(daemon, "NO_SHARED_CIPHER")


def test_terminal_that_checks_refuses_a_device_it_does_not_know(daemon: RunningDaemon) -> None:
    stranger = ssl.create_default_context(cadata=new_authority().certificate_pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        daemon.seen_by(stranger).get("/healthz")


def test_plain_http_gets_no_answer_and_does_not_get_into_the_journal(daemon: RunningDaemon) -> None:
    with _plain(daemon) as connection:
        connection.sendall(b"GET /a-path-of-plain-http HTTP/1.1\r\nHost: device\r\n\r\n")
        # An alert may come, which is no plain text: its type is 21. Source: RFC 8446, section 5.1.
        assert b"".join(iter(lambda: connection.recv(65536), b""))[:1] in (b"", b"\x15")
    assert _tells_last(daemon, "HTTP_REQUEST")
    assert "a-path-of-plain-http" not in daemon.log.read_text()
    assert daemon.get("/healthz").status == 200


@pytest.mark.parametrize(
    "rubbish", [b"\x00" * 64, b"\x16\x03\x01\xff\xff" + b"x" * 64, b"PROXY TCP4 1.1.1.1 2.2.2.2\r\n"]
)
def test_rubbish_does_no_harm(daemon: RunningDaemon, rubbish: bytes) -> None:
    with _plain(daemon) as connection:
        connection.sendall(rubbish)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
    assert daemon.get("/healthz").status == 200
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_stalled_handshakes_do_not_keep_others_from_being_served(
    daemon: RunningDaemon, tls_site: TlsSite, pair: dict[str, str], share: float
) -> None:
    hello = _hello(tls_site)
    with ExitStack() as stack:
        for _ in range(_THREADS):
            stack.enter_context(_plain(daemon)).sendall(hello[: int(len(hello) * share)])
        check_compared(daemon.verify(pair))
    assert "Traceback" not in daemon.log.read_text()


def test_two_requests_on_one_connection_are_answered_over_tls(daemon: RunningDaemon) -> None:
    one = b"GET /nowhere HTTP/1.1\r\nHost: device\r\n\r\n"
    other = b"GET /healthz HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n"
    with daemon.open() as connection:
        connection.sendall(one + other)
        stream = b"".join(iter(lambda: connection.recv(65536), b""))
    assert stream.count(b"HTTP/1.1 404") == 1
    assert stream.count(b"HTTP/1.1 200") == 1


class Load:
    """Asks without a pause, each time on a new connection, until it is told to stop."""

    def __init__(self, work: Callable[[], Any], workers: int = 2) -> None:
        self._work = work
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(workers)
        self._workers = workers
        self.done: list[Any] = []

    def __enter__(self) -> Load:
        self._running = [self._threads.submit(self._run) for _ in range(self._workers)]
        return self

    def _run(self) -> None:
        while not self._stop.is_set():
            self.done.append(self._work())

    def __exit__(self, *_raised: object) -> None:
        self._stop.set()
        for running in self._running:
            running.result()  # raises what one of the requests raised


def _shown(daemon: RunningDaemon) -> bytes:
    """The device's certificate as a new connection sees it."""
    with daemon.open() as connection:
        assert isinstance(connection, ssl.SSLSocket)
        return connection.getpeercert(binary_form=True) or b""


def test_new_certificates_are_shown_under_load_without_a_failed_request(
    daemon: RunningDaemon, tls_site: TlsSite
) -> None:
    seen = [_shown(daemon)]
    kept = daemon.connect()
    with Load(lambda: daemon.get("/healthz").status) as load:
        for _ in range(10):
            tls_site.write()  # key and certificate, one after the other
            seen.append(_shown(daemon))
            kept.request("GET", "/healthz")
            assert kept.getresponse().read()
    kept.close()
    assert set(load.done) == {200}
    assert len(load.done) > 20
    assert len(set(seen)) == len(seen)


def test_key_without_its_certificate_serves_the_old_pair_and_warns(daemon: RunningDaemon, tls_site: TlsSite) -> None:
    before = _shown(daemon)
    issued = tls_site.authority.for_server(["localhost", "127.0.0.1"], NOW)
    tls_site.tls.key.write_bytes(issued.key_pem)
    assert _shown(daemon) == before
    warning = [event for event in daemon.events if event["event"] == "warning" and "remedy" in event][-1]
    assert "KEY_VALUES_MISMATCH" in warning["reason"]
    assert b'faceverifyd_warning{warning="tls_files_unreadable"} 1.0' in daemon.get("/metrics").body
    tls_site.tls.certificate.write_bytes(issued.certificate_pem)
    assert _shown(daemon) != before
    assert b"tls_files_unreadable" not in daemon.get("/metrics").body


def _answers(connections: list[http.client.HTTPConnection], form: dict[str, str]) -> Iterator[Answer]:
    """Send the same request on each connection, then read the answers one by one."""
    for connection in connections:
        connection.request("POST", PATH, urlencode(form).encode(), {"Content-Type": FORM})
    for connection in connections:
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        yield Answer(response.status, names, response.read())
        connection.close()


def test_answers_that_take_longer_than_a_request_may_are_sent_encrypted_and_whole(
    start: Start, tls_site: TlsSite, sealed: Sealed
) -> None:
    server, admission = {"tls": tls_site.document, "receive_s": 1.5}, {"running": 1, "deadline_s": 60.0}
    slow = start("slow", tls=tls_site.terminal(), server=server, admission=admission)
    form = sealed(plain(2500, 2500), plain(2500, 2500)) | {"auto_rotate": "true"}  # few bytes, and much to look at
    for answer in _answers([slow.connect() for _ in range(8)], form):
        check_refused(answer, 4000, field="first_encrypted_image")
    assert max(event["duration_ms"] for event in slow.events if event.get("route")) > 2600, "nobody had to wait"


def test_handshakes_that_were_broken_off_do_not_lose_the_last_answers_at_the_stop(
    site: Site, tls_site: TlsSite, sealed: Sealed, tmp_path: Path
) -> None:
    admission = {"running": 1, "deadline_s": 60.0}
    config = site.write("stopping.yaml", server={"tls": tls_site.document}, admission=admission)
    form = sealed(plain(2000, 2000), plain(2000, 2000))
    with RunningDaemon(config, tmp_path / "log", tls=tls_site.terminal()) as stopping:
        for _ in range(30):
            with _plain(stopping) as connection:
                connection.sendall(_hello(tls_site)[:40])
        answers = _answers([stopping.connect() for _ in range(6)], form)
        check_refused(next(answers), 4000, field="first_encrypted_image")
        stopping.process.terminate()
        for answer in answers:
            check_refused(answer, 4000, field="first_encrypted_image")


def test_start_with_a_key_that_others_may_read_is_refused(site: Site, tmp_path: Path) -> None:
    tls_site = new_tls_site(tmp_path)
    tls_site.tls.key.chmod(0o644)
    refused = RunningDaemon(site.write("readable.yaml", server={"tls": tls_site.document}), tmp_path / "log")
    with pytest.raises(RuntimeError, match="gunicorn ended"), refused:
        pass
    (line,) = [event for event in refused.events if event["event"] == "start_refused"]
    assert line["remedy"] == f"chmod 600 {tls_site.tls.key}"


def test_management_reads_over_tls_too(daemon: RunningDaemon) -> None:
    check_refused(daemon.get("/nowhere"), 2000, status=404)
    assert daemon.get("/readyz").json["ready"] is True
