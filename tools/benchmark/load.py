"""Who asks: terminals on kept connections, in a process of its own that encodes and parses as little as it can.

Closed loop: each client asks again as soon as it is answered; one that is told to come later comes when it was told.
Open loop: requests come when they come, whether or not the device has answered those before; latency counts from
then, so that what could not be sent in time is not left out. Source: Tene, "How NOT to Measure Latency", 2013.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import NamedTuple
from urllib.parse import urlencode

from daemon.api.intake import FIRST_PHOTO, SECOND_PHOTO
from daemon.api.verification import PATH
from tools.benchmark.figures import Done, Round
from tools.benchmark.processes import tree_cpu_s
from tools.benchmark.subject import obey

_TIMEOUT_S = 60.0
_IDLE_MAX_S = 2.0
"""Connections that were idle for longer are not used again: the shipped server.keepalive_s is 5 seconds."""

_ENOUGH = 65536
_LOST = 0
"""Status of a request whose connection was lost. Source: `Done`."""

Sealed = tuple[str, str]
"""Both photos of a pair as a terminal sends them."""


class Closed(NamedTuple):
    """So many clients, each over all pairs as often as fits, at least once.

    Attributes:
        clients: how many at the same time.
        seconds: after so long no client begins another time.
        requests: after so many altogether, neither.
    """

    clients: int
    seconds: float
    requests: int | None = None

    def goes_on(self, done: int, since_s: float) -> bool:
        """Whether a client begins another time, itself having done so many, so many seconds after the beginning."""
        enough = self.requests is not None and done * self.clients >= self.requests
        return not done or (time.monotonic() - since_s < self.seconds and not enough)


class Open(NamedTuple):
    """Requests at given moments.

    Attributes:
        arrivals_s: seconds from the beginning, increasing.
    """

    arrivals_s: Sequence[float]


class Answer(NamedTuple):
    """What an HTTP answer says to a load."""

    status: int
    parts_ms: dict[str, float]
    retry_after_s: float = 0.0
    stays: bool = True


def parse_head(head: bytes) -> tuple[Answer, int]:
    """An answer by its head, and the length of its body in bytes.

    Raises:
        ValueError: no HTTP answer with a length.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    parts_ms = {}
    for part in filter(None, fields.get("server-timing", "").split(", ")):
        name, _, took_ms = part.partition(";dur=")
        parts_ms[name] = float(took_ms)
    retry_after_s, stays = float(fields.get("retry-after", 0)), fields.get("connection", "").lower() != "close"
    return Answer(int(first.split()[1]), parts_ms, retry_after_s, stays), int(fields.get("content-length", "-1"))


class Terminals:
    """Ask one daemon.

    Args:
        port: where it listens, on loopback.
        bodies: requests' bodies, one for each pair.
    """

    def __init__(self, port: int, bodies: Sequence[bytes]) -> None:
        self._port = port
        self._requests = [_request(body) for body in bodies]
        self._idle: list[tuple[float, socket.socket]] = []

    async def closed(self, load: Closed) -> list[Done]:
        """See `Closed`."""
        began_s = time.monotonic()
        found = await asyncio.gather(*(self._client(number, load, began_s) for number in range(load.clients)))
        return [done for each in found for done in each]

    async def _client(self, number: int, load: Closed, began_s: float) -> list[Done]:
        done: list[Done] = []
        while load.goes_on(len(done), began_s):
            for place in range(len(self._requests)):
                answer = await self._ask(number, (number + place) % len(self._requests), time.monotonic(), done)
                if answer.retry_after_s:
                    await asyncio.sleep(answer.retry_after_s)
        return done

    async def opened(self, load: Open) -> list[Done]:
        """See `Open`."""
        began_s, done, asked = time.monotonic(), list[Done](), []
        for number, arrival_s in enumerate(load.arrivals_s):
            due_s = began_s + arrival_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            asked.append(asyncio.create_task(self._ask(number, number % len(self._requests), due_s, done)))
        await asyncio.gather(*asked)
        return done

    async def _ask(self, client: int, pair: int, due_s: float, done: list[Done]) -> Answer:
        try:
            answer = await asyncio.wait_for(self._exchange(self._requests[pair]), _TIMEOUT_S)
        except (OSError, ValueError, asyncio.TimeoutError):
            answer = Answer(_LOST, {})
        done.append(Done(client, pair, due_s, time.monotonic(), answer.status, answer.parts_ms))
        return answer

    async def _exchange(self, request: bytes) -> Answer:
        connection, loop = await self._connection(), asyncio.get_running_loop()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read: the answer is there
                await loop.sock_sendall(connection, request)
            answer = await self._answer(connection)
        except BaseException:
            connection.close()
            raise
        if answer.stays:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()
        return answer

    async def _answer(self, connection: socket.socket) -> Answer:
        loop, received = asyncio.get_running_loop(), b""
        while b"\r\n\r\n" not in received:
            received += await _more(loop, connection)
        head, _, body = received.partition(b"\r\n\r\n")
        answer, length = parse_head(head)
        while len(body) < length:
            body += await _more(loop, connection)
        return answer

    async def _connection(self) -> socket.socket:
        while self._idle:
            since_s, connection = self._idle.pop()  # the one used last: others may have to be let go
            if time.monotonic() - since_s < _IDLE_MAX_S:
                return connection
            connection.close()
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
        except BaseException:
            connection.close()
            raise
        return connection


async def _more(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    part = await loop.sock_recv(connection, _ENOUGH)
    if not part:
        raise ConnectionResetError
    return part


def body_of(pair: Sealed) -> bytes:
    """A request's body: both sealed photos as a form."""
    return urlencode({FIRST_PHOTO: pair[0], SECOND_PHOTO: pair[1]}).encode()


def _request(body: bytes) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def serve(connection: Connection, port: int, sealed: Sequence[Sealed], cores: Sequence[int]) -> None:
    """The process that asks; see `obey`. It answers an order with a round, whose processor time is its own.

    Args:
        connection: to the one who orders.
        port: of the daemon.
        sealed: photos of each pair.
        cores: where it runs.
    """
    os.sched_setaffinity(0, cores)
    loop = asyncio.new_event_loop()

    def make() -> Callable[[Closed | Open], Round]:
        """Who asks, with every request made beforehand."""
        terminals = Terminals(port, [body_of(pair) for pair in sealed])

        def answer(order: Closed | Open) -> Round:
            """One round."""
            began_cpu_s, began_s = tree_cpu_s(os.getpid()), time.monotonic()
            work: Coroutine[object, object, list[Done]] = (
                terminals.closed(order) if isinstance(order, Closed) else terminals.opened(order)
            )
            done = loop.run_until_complete(work)
            return Round(began_s, done, load_cpu_s=tree_cpu_s(os.getpid()) - began_cpu_s)

        return answer

    with closing(loop):
        obey(connection, make)
