"""Admission: so many at once, so many waiting, the rest is told to try later."""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack
from itertools import chain, repeat

import pytest

from daemon.api.admission import BodyBudget, Turnstile
from daemon.config import Admission
from daemon.errors import TryLater

NEVER_S = 60.0
"""A deadline that no test reaches."""


def _stopped() -> float:
    return 0.0


def _turnstile(running: int, waiting: int, deadline_s: float = NEVER_S) -> Turnstile:
    return Turnstile(Admission(running, waiting, deadline_s), _stopped)


def _refusal(turnstile: Turnstile) -> TryLater:
    with pytest.raises(TryLater) as refused, turnstile.admit():
        pass
    return refused.value


def test_as_many_as_are_worked_on_at_once_are_admitted() -> None:
    turnstile = _turnstile(running=3, waiting=0)
    with ExitStack() as admitted:
        for _ in range(3):
            admitted.enter_context(turnstile.admit())
        assert str(_refusal(turnstile)) == "queue full"


def test_a_place_is_free_again_after_the_block() -> None:
    turnstile = _turnstile(running=1, waiting=0)
    for _ in range(3):
        with turnstile.admit():
            pass


def test_a_place_is_free_again_after_a_block_that_raised() -> None:
    turnstile = _turnstile(running=1, waiting=0)
    with pytest.raises(LookupError), turnstile.admit():
        raise LookupError
    with turnstile.admit():
        pass


def test_who_waits_beyond_the_deadline_is_told_to_try_later() -> None:
    turnstile = _turnstile(running=1, waiting=1, deadline_s=0.01)
    with turnstile.admit():
        assert str(_refusal(turnstile)) == "deadline passed in the queue"


def test_a_deadline_that_passed_frees_its_place_in_the_queue() -> None:
    turnstile = _turnstile(running=1, waiting=1, deadline_s=0.01)
    with turnstile.admit():
        for _ in range(3):
            assert str(_refusal(turnstile)) == "deadline passed in the queue"


def _one_waits_one_is_refused(turnstile: Turnstile) -> tuple[TryLater | None, TryLater | None]:
    """What two callers get while one place in the queue is free: the first ends at once, the other when admitted."""
    outcomes: queue.Queue[TryLater | None] = queue.Queue()

    def attempt() -> None:
        try:
            with turnstile.admit():
                outcomes.put(None)
        except TryLater as refused:
            outcomes.put(refused)

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    with turnstile.admit():
        for thread in threads:
            thread.start()
        first = outcomes.get(timeout=NEVER_S)  # nobody is admitted before this block ends
    for thread in threads:
        thread.join()
    return first, outcomes.get(timeout=NEVER_S)


def test_who_waits_is_admitted_when_a_place_becomes_free_and_who_finds_the_queue_full_is_not() -> None:
    refused, admitted = _one_waits_one_is_refused(_turnstile(running=1, waiting=1))
    assert str(refused) == "queue full"
    assert admitted is None


def test_the_queue_is_empty_again_after_those_in_it_were_admitted() -> None:
    turnstile = _turnstile(running=1, waiting=1)
    for _ in range(3):
        assert _one_waits_one_is_refused(turnstile)[1] is None


def test_who_is_sent_away_is_told_when_the_queue_will_be_worked_off() -> None:
    times = chain([0.0, 0.0], repeat(100.0))
    turnstile = Turnstile(Admission(1, 1, NEVER_S), lambda: next(times))
    with turnstile.admit():
        pass
    # The forecast was 0.1 s; one request of 100 s moves it by a tenth: 0.1 + 99.9 / 10 = 10.09 s, for one who waits.
    refused, _ = _one_waits_one_is_refused(turnstile)
    assert refused is not None
    assert refused.retry_after_s == 11


def test_who_looks_in_is_sent_away_while_the_queue_is_full_and_not_while_there_is_room() -> None:
    turnstile = _turnstile(running=1, waiting=1)
    waits = threading.Thread(target=lambda: turnstile.admit().__enter__())
    with turnstile.admit():
        turnstile.look_in()
        waits.start()
        while turnstile._waiting == 0:
            pass
        with pytest.raises(TryLater, match="queue full"):
            turnstile.look_in()
    waits.join()
    turnstile.look_in()


def test_looking_in_takes_no_place() -> None:
    turnstile = _turnstile(running=1, waiting=0)
    for _ in range(3):
        turnstile.look_in()
    with turnstile.admit():
        assert str(_refusal(turnstile)) == "queue full"


def test_who_would_wait_beyond_the_deadline_is_sent_away_at_once() -> None:
    times = iter([0.0, 0.0, *[100.0] * 9])
    turnstile = Turnstile(Admission(1, 5, 10.0), lambda: next(times))
    with turnstile.admit():
        pass
    # 0.1 s was the forecast; one request of 100 s makes it 0.1 + 99.9 / 10 = 10.09 s for one who waits.
    refused, admitted = _one_waits_one_is_refused(turnstile)
    assert str(refused) == "deadline would pass in the queue"
    assert admitted is None


def test_who_is_admitted_is_counted_and_how_long_it_waited_is_told() -> None:
    waited: list[float] = []
    times = iter([0.0, 0.25, 1.0])
    turnstile = Turnstile(Admission(1, 1, NEVER_S), lambda: next(times), waited.append)
    with turnstile.admit():
        assert (turnstile.running, turnstile.waiting) == (1, 0)
    assert (turnstile.running, waited) == (0, [0.25])


def test_no_one_is_sent_away_for_less_than_a_second() -> None:
    turnstile = _turnstile(running=1, waiting=0)
    with turnstile.admit():
        assert _refusal(turnstile).retry_after_s == 1


def test_after_closing_nobody_is_admitted_and_who_is_in_is_not_touched() -> None:
    turnstile = _turnstile(running=2, waiting=2)
    with turnstile.admit():
        turnstile.close()
        assert str(_refusal(turnstile)) == "stopping"
        with pytest.raises(TryLater, match="stopping"):
            turnstile.look_in()


def test_bodies_are_let_in_until_there_is_no_room_for_another() -> None:
    budget = BodyBudget(100)
    with budget.hold(60), budget.hold(40), pytest.raises(TryLater, match="no memory left"), budget.hold(1):
        pass


def test_there_is_room_again_after_a_body_also_after_one_that_raised() -> None:
    budget = BodyBudget(100)
    for _ in range(3):
        with pytest.raises(LookupError), budget.hold(100):
            raise LookupError


def test_a_body_that_finds_no_room_takes_none() -> None:
    budget = BodyBudget(100)
    with pytest.raises(TryLater), budget.hold(101):
        pass
    with budget.hold(100):
        pass
