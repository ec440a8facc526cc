"""What is measured is measured in turns, all photos alike, in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from daemon.errors import EngineRefused
from tools.benchmark.subject import Order, in_turns, obey, run_round, subject


def test_every_client_takes_all_pairs_alike() -> None:
    found = run_round(lambda client, pair: {"seen": 10.0 * client + pair}, Order("", 3, 4, 0.0))
    taken = {client: sorted(one.pair for one in found.done if one.client == client) for client in range(3)}
    assert taken == {client: [0, 1, 2, 3] for client in range(3)}
    assert {one.parts_ms["seen"] for one in found.done} == {10.0 * c + p for c in range(3) for p in range(4)}


def test_clients_begin_with_different_pairs() -> None:
    found = run_round(lambda _client, _pair: {}, Order("", 2, 2, 0.0))
    firsts = {client: next(one.pair for one in found.done if one.client == client) for client in range(2)}
    assert firsts == {0: 0, 1: 1}


def test_turns_begin_with_another_one_each_round() -> None:
    said = in_turns(3, [lambda: "a", lambda: "b", lambda: "c"])
    assert "".join(one for _, one in said) == "abcbcacab"


def _answer_or_refuse(connection: Connection) -> None:
    def make() -> Callable[[str], object]:
        def answer(order: str) -> object:
            if order == "refuse":
                raise EngineRefused("no engine", "Build one.")
            return order.upper(), os.getpid()

        return answer

    obey(connection, make)


def test_process_of_its_own_answers_and_its_refusal_is_raised_here() -> None:
    with subject(_answer_or_refuse) as asked:
        said, pid = asked.ask("a")
        assert (said, pid) == ("A", asked.pid)
        assert pid != os.getpid()
        with pytest.raises(EngineRefused, match="no engine"):
            asked.ask("refuse")
        with pytest.raises(EngineRefused, match="ended"):
            asked.ask("a")
