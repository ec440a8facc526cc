"""Who asks leaves nothing out: what waits for a busy server has waited, and what is refused comes when it was told."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.benchmark.figures import Done
from tools.benchmark.load import Closed, Open, Terminals, parse_head

_WORK_S = 0.05


class _OneAtATime(BaseHTTPRequestHandler):
    """Takes its time for each request, one after the other; with refusals left, refuses first."""

    refusals = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        refuse = type(self).refusals > 0
        type(self).refusals -= refuse
        time.sleep(0 if refuse else _WORK_S)
        self.send_response(503 if refuse else 200)
        for name, value in (("Server-Timing", "open;dur=1.50, decode;dur=20.25"), ("Connection", "close")):
            self.send_header(name, value)
        if refuse:
            self.send_header("Retry-After", "0.2")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _server(refusals: int = 0) -> Iterator[int]:
    _OneAtATime.refusals = refusals
    with HTTPServer(("127.0.0.1", 0), _OneAtATime) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _latencies_s(done: list[Done]) -> list[float]:
    return sorted(one.latency_ms / 1000 for one in done)


def test_open_loop_counts_the_wait_for_a_server_that_is_busy() -> None:
    with _server() as port:
        done = asyncio.run(Terminals(port, [b"a"]).opened(Open([0.0, 0.001, 0.002, 0.003])))
    latencies_s = _latencies_s(done)
    assert [one.status for one in done] == [200] * 4
    # By hand: the last of four has waited for three others.
    assert all(took_s > (place + 1) * _WORK_S - 0.005 for place, took_s in enumerate(latencies_s))


def test_what_cannot_be_sent_is_lost_and_not_left_out() -> None:
    with _server() as port:
        pass  # nobody listens there any more
    done = asyncio.run(Terminals(port, [b"a"]).opened(Open([0.0, 0.01])))
    assert [one.status for one in done] == [0, 0]


def test_closed_loop_takes_all_pairs_alike_and_one_after_the_other() -> None:
    with _server() as port:
        done = asyncio.run(Terminals(port, [b"a", b"b", b"c"]).closed(Closed(1, 2 * _WORK_S)))
    assert [one.pair for one in done] in ([0, 1, 2], [0, 1, 2] * 2)
    assert all(later.due_s >= earlier.ended_s for earlier, later in itertools.pairwise(done))
    assert done[0].parts_ms == {"open": 1.5, "decode": 20.25}


def test_refused_client_comes_again_when_it_was_told() -> None:
    with _server(refusals=1) as port:
        done = asyncio.run(Terminals(port, [b"a", b"b"]).closed(Closed(1, 0.0)))
    assert [one.status for one in done] == [503, 200]
    assert done[1].due_s - done[0].ended_s >= 0.19


def test_client_stops_at_the_number_of_requests() -> None:
    with _server() as port:
        done = asyncio.run(Terminals(port, [b"a"]).closed(Closed(2, 60.0, requests=4)))
    assert len(done) == 4


def test_answer_is_read_from_its_head() -> None:
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 90\r\nRetry-After: 2\r\nConnection: keep-alive"
    answer, length = parse_head(head)
    assert (answer.status, answer.retry_after_s, answer.stays, answer.parts_ms, length) == (503, 2, True, {}, 90)


def test_what_is_no_http_is_no_answer() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_head(b"SSH-2.0-x y\r\n")
