"""A threaded worker that no sender can hold: not by silence, not by slowness, not by never hanging up.

gunicorn's own gives a thread to each new connection before it has said anything, waits for what was begun for ever, and
waits for a peer to hang up in the one loop that serves everybody. Here

- a connection costs a thread from its first byte on, and at the limit the one that has been silent longest makes room,
  but for newcomers, which have a moment to say something while they are few;
- a request that does not arrive in time is read no further, and one that trickles not even so long while others wait;
- hanging up is left to the peer for a moment, beside everything else;
- where the device has no descriptor left for a connection, it waits in the kernel, and the worker lives on.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import struct
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from daemon.expectation import AskingReader
from daemon.pool import started_pool

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NOBODY = (errno.EAGAIN, errno.ECONNABORTED)
"""What accepting a connection ends with where the device has no room, and where the peer has gone.

Source: accept(2)."""

_AGAIN_S = 0.05
"""The loop would be told at once again of a connection that cannot be accepted; so it rests."""

_LOOK_S = 0.5
"""Between two looks at who is slow."""

_HURRIED_S, _READ_S = 1.0, 0.2
_HURRIED_BYTES_PER_S, _AHEAD_BYTES = 16 * 1024, 32 * 1024
"""While others wait for a thread, a request that is a second old, a fifth of it in a thread, must arrive this fast: a
fiftieth of what `server.receive_s` as shipped asks for. What comes before a thread reads is held to no more than the
kernel takes in unread on a slow path."""

_FIRST_BYTE_S = 1.0
"""So long may a newcomer be silent at the limit of connections: a packet lost on its way is sent again after as much.
Source: RFC 6298, section 2.1."""

_HANG_UP_S = 2.0
"""So long may a peer take to read its answer and hang up. Source: gunicorn's own patience, util.close_graceful."""

_DRAINED_BYTES = 64 * 1024
"""Of a body that was answered unread so much is read away by gunicorn to keep the connection. Source: its
http/parser.py, _DRAIN_MAX_BYTES."""

_UNREAD_BYTES = 32 << 20
"""Of a body that was answered unread so much is thrown away, twice the largest: a peer that is still sending is reset
when its connection is closed, and might never read its answer."""

_BYTES_RECEIVED_AT, _TCP_INFO_BYTES = 128, 136
"""Source: linux/tcp.h, struct tcp_info, tcpi_bytes_received."""


@dataclass(slots=True)
class _Receiving:
    """A request that waits for a thread, is read by one, or worked on.

    Attributes:
        queued_s: since when it waited for a thread, monotonic.
        had_bytes: what had come on its connection until then.
        last: the connection's request before this one.
        began_s: since when a thread has it.
    """

    queued_s: float
    had_bytes: int
    last: Any
    began_s: float | None = None


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module.

    Attributes:
        receive_s: within so many seconds a request must have arrived, its TLS handshake included.
    """

    receive_s = 20.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gunicorn's own
        super().__init__(*args, **kwargs)
        self._receiving: dict[Any, _Receiving] = {}
        self._queued: set[Any] = set()
        self._parting: deque[Any] = deque()
        self._looked_s = 0.0

    def out_of_descriptors(self) -> None:
        """Is told of each connection that could not be accepted."""

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """All threads, started: one that cannot be started later would end the worker."""
        return started_pool(self.cfg.threads, "request")

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; it waits for its first byte in the loop."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self.out_of_descriptors()
                self._let_one_go()
                time.sleep(_AGAIN_S)
            elif error.errno not in _NOBODY:
                raise
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(client, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def enqueue_req(self, conn: Any) -> None:  # noqa: ANN401 - gunicorn's TConn
        """Have a thread serve a connection that has something to read."""
        last = conn.parser.mesg if conn.parser else None
        self._receiving[conn] = _Receiving(time.monotonic(), _bytes_received(conn.sock), last)
        self._queued.add(conn)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's TConn
        """Serve one request of a connection; `notify` watches how it arrives."""
        self._receiving[conn].began_s = time.monotonic()
        self._queued.discard(conn)
        try:
            return super().handle(conn)
        finally:
            del self._receiving[conn]

    def handle_request(self, req: Any, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's Request and TConn
        """Answer; where much of the body was left unread, the answer says that the connection ends with it.

        The sender would otherwise send its next request on a connection that is being closed. One that waits to be
        asked for its body is asked when it is read, and not before anybody has looked at the request; where it is not,
        nobody knows whether it comes.
        """
        reader = AskingReader(req.body.reader, conn.sock if req._expected_100_continue else None)
        req._expected_100_continue, req.body.reader = False, reader
        closes = req.should_close
        req.should_close = lambda: closes() or reader.asks is not None or reader.length > _DRAINED_BYTES
        return super().handle_request(req, conn)

    def notify(self) -> None:
        """Tell the master that the loop runs, and read no more from who is too slow."""
        super().notify()
        now = time.monotonic()
        if now - self._looked_s < _LOOK_S:
            return
        self._looked_s = now
        for conn, receiving in list(self._receiving.items()):
            read_s = now - (receiving.began_s or now)
            if read_s > self.receive_s or (self._queued and read_s > _READ_S and _trickles(conn, receiving, now)):
                # Whose request has arrived gets its answer: nothing is read any more, that is all.
                with suppress(OSError):  # it has gone already
                    # Not SSLSocket's own: that one would send what follows, the answer, in plain text.
                    socket.socket.shutdown(conn.sock, socket.SHUT_RD)

    def murder_pending(self) -> None:
        """Close what stayed silent, or never hung up; at the limit of connections, make room for one."""
        super().murder_pending()
        now = time.monotonic()
        while self._parting and self._parting[0].timeout <= now:
            self._close(self._parting.popleft())
        if self.nr_conns >= self.worker_connections:
            self._let_one_go()

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def finish_request(self, conn: Any, fs: Any) -> None:  # noqa: ANN401 - gunicorn's TConn and a Future
        """Keep a connection for its next request, or part with it."""
        if conn.sock.fileno() < 0:  # it ended inside its handshake
            self.nr_conns -= 1
        elif fs.cancelled() or fs.exception() or not fs.result():
            self._part_with(conn)
        else:
            super().finish_request(conn, fs)

    def _part_with(self, conn: Any) -> None:  # noqa: ANN401 - gunicorn's TConn
        """Say that nothing more comes, and close once the peer has hung up or had time to."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone already
            self.nr_conns -= 1
            conn.close()
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + _HANG_UP_S
        self._parting.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._throw_away, conn, [_UNREAD_BYTES]))

    def _throw_away(self, conn: Any, left_bytes: list[int], sock: socket.socket) -> None:  # noqa: ANN401 - TConn
        with suppress(BlockingIOError):
            try:
                got_bytes = len(sock.recv(65536))
            except BlockingIOError:
                raise
            except OSError:
                got_bytes = 0
            left_bytes[0] -= got_bytes
            if got_bytes == 0 or left_bytes[0] <= 0:
                self._parting.remove(conn)
                self._close(conn)

    def _let_one_go(self) -> None:
        """Close the connection that has been silent longest: one that is parted with, that never asked, or that did.

        Newcomers are waited for while they are few; a crowd of them makes room before a terminal that asked.
        """
        newcomers_until_s = time.monotonic() + self.cfg.keepalive - _FIRST_BYTE_S
        unheard = [conn for conn in self.pending_conns if not _has_something(conn.sock)]
        crowd = len(unheard) > self.worker_connections // 2
        never_asked = [conn for conn in unheard if crowd or conn.timeout < newcomers_until_s]
        for conns, among in (
            (self._parting, self._parting),
            (self.pending_conns, never_asked),
            (self.keepalived_conns, self.keepalived_conns),
        ):
            silent = next((conn for conn in among if not _has_something(conn.sock)), None)
            if silent is not None:
                conns.remove(silent)
                self._close(silent)
                return

    def _close(self, conn: Any) -> None:  # noqa: ANN401 - gunicorn's TConn
        with suppress(OSError, KeyError, ValueError):  # it is closed already
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()


def _bytes_received(sock: socket.socket) -> int:
    """What has come on a connection so far; of one that is not TCP, nothing is known and nothing asked."""
    if sock.family == socket.AF_UNIX:
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:  # it has gone already
        return 0
    return int(struct.unpack_from("Q", info, _BYTES_RECEIVED_AT)[0])


def _trickles(conn: Any, receiving: _Receiving, now: float) -> bool:  # noqa: ANN401 - gunicorn's TConn
    """Whether a request has not arrived yet, and arrives so slowly that others must not wait for it."""
    began_s = receiving.began_s or now
    if now - receiving.queued_s < _HURRIED_S or conn.sock.family == socket.AF_UNIX or _has_arrived(conn, receiving):
        return False
    ahead_bytes = min(_AHEAD_BYTES, (began_s - receiving.queued_s) * _HURRIED_BYTES_PER_S)
    wanted_bytes = ahead_bytes + (now - began_s) * _HURRIED_BYTES_PER_S
    return _bytes_received(conn.sock) - receiving.had_bytes < wanted_bytes


def _has_arrived(conn: Any, receiving: _Receiving) -> bool:  # noqa: ANN401 - gunicorn's TConn
    request = conn.parser.mesg if conn.parser else None
    if request is None or request is receiving.last:
        return False
    return getattr(request.body.reader, "length", 0) == 0


def _has_something(sock: socket.socket) -> bool:
    poller = select.poll()  # needs no descriptor of its own: there may be none
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))
