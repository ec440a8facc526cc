"""What is measured, in a process of its own: threads and memory of one contender are not another's.

A process holds works by name; each takes the number of a client and of a pair. `Subject` is its other side.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from daemon.errors import DeviceError, EngineRefused
from tools.benchmark.figures import Done, Round
from tools.benchmark.processes import tree_cpu_s
from tools.console import progress

T = TypeVar("T")
Work = Callable[[int, int], Mapping[str, float]]
"""Client and pair to milliseconds by step; called by several clients at once."""

_END_S = 3.0
_REMEDY = "Measure again; if it comes again, report it with what is printed above."


class _Refused(NamedTuple):
    """What a process of ours raised, and what to do about it."""

    said: str
    remedy: str


class Order(NamedTuple):
    """One round: so many clients, each without a pause, over all pairs as often as fits, at least once.

    Attributes:
        work: its name.
        clients: how many at the same time.
        pairs: how many there are; each client takes all of them alike, so that every round has the same mixture.
        seconds: after so long no client begins another time.
        threads: that OpenCV may use inside one call.
    """

    work: str
    clients: int
    pairs: int
    seconds: float
    threads: int = 1


def run_round(work: Work, order: Order) -> Round:
    """All clients at once, to their ends."""
    began_cpu_s, began_s = tree_cpu_s(os.getpid()), time.monotonic()
    with ThreadPoolExecutor(order.clients) as pool:
        done = list(pool.map(partial(_client, work, order, began_s), range(order.clients)))
    return Round(began_s, [one for each in done for one in each], tree_cpu_s(os.getpid()) - began_cpu_s)


def _client(work: Work, order: Order, began_s: float, client: int) -> list[Done]:
    done: list[Done] = []
    while not done or time.monotonic() - began_s < order.seconds:
        for place in range(order.pairs):
            pair, due_s = (client + place) % order.pairs, time.monotonic()
            parts_ms = work(client, pair)
            done.append(Done(client, pair, due_s, time.monotonic(), parts_ms=parts_ms))
    return done


class Subject:
    """A process, asked one thing at a time.

    Args:
        target: runs in the process with its end of the pipe and `given`; a function of a module.
        given: anything that can be pickled.
    """

    def __init__(self, target: Callable[..., None], *given: object) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit threads and networks
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *given), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid or 0)

    def ask(self, order: object) -> Any:  # noqa: ANN401 - what the process sends
        """The process's answer to one order.

        Raises:
            EngineRefused: it refused, or it ended.
        """
        return self.ask_for_long(order, 0, "")

    def ask_for_long(self, order: object, seconds: float, what: str) -> Any:  # noqa: ANN401 - what the process sends
        """As `ask`, with progress where it takes seconds."""
        try:
            self._ours.send(order)
            for _ in progress(range(math.ceil(seconds)), math.ceil(seconds), what):
                if self._ours.poll(1.0):
                    break
            answer = self._ours.recv()
        except (EOFError, OSError):
            raise EngineRefused("a process that is measured ended", _REMEDY) from None
        if isinstance(answer, _Refused):
            raise EngineRefused(*answer)
        return answer

    def close(self) -> None:
        """End it."""
        self._ours.close()  # it ends when its pipe closes, unless it is in the middle of something
        self._process.join(_END_S)
        self._process.terminate()
        self._process.join()


@contextmanager
def subject(target: Callable[..., None], *given: object) -> Iterator[Subject]:
    """A subject for the length of the block."""
    made = Subject(target, *given)
    try:
        yield made
    finally:
        made.close()


def obey(connection: Connection, make: Callable[[], Callable[[Any], object]]) -> None:
    """The process's own side: makes what answers, then answers order after order until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    try:
        answer = make()
        while True:
            connection.send(answer(connection.recv()))
    except DeviceError as error:
        connection.send(_Refused(str(error.args[0]), error.remedy))
    except (EOFError, BrokenPipeError):  # asked no more
        return


def in_turns(rounds: int, turns: Sequence[Callable[[], T]]) -> Iterator[tuple[int, T]]:
    """Every turn once per round, with its place, beginning with another one each time."""
    for number in range(rounds):
        for place in range(len(turns)):
            turn = (number + place) % len(turns)
            yield turn, turns[turn]()
