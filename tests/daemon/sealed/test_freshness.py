"""Sealed photos serve once, and soon."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from daemon.config import Freshness
from daemon.errors import SealedPhotoRefused, TryLater
from daemon.sealed.freshness import CLOCK_SET_BACK, FreshPhotos

START = 1_764_000_000.0
MAX_AGE_S, SKEW_S = 60.0, 5.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def _memory(clock: Clock, remembered: int = 100, age_s: float = 1000) -> FreshPhotos:
    """A memory that began some time ago."""
    clock.now = START - age_s
    memory = FreshPhotos(Freshness(MAX_AGE_S, SKEW_S, remembered), clock)
    clock.now = START
    return memory


@pytest.fixture
def clock() -> Clock:
    """A clock at START."""
    return Clock()


def test_a_photo_sealed_now_is_taken(clock: Clock) -> None:
    _memory(clock).take(START, "one")


def test_a_photo_is_taken_once(clock: Clock) -> None:
    memory = _memory(clock)
    memory.take(START, "one")
    with pytest.raises(SealedPhotoRefused):
        memory.take(START, "one")


def test_an_id_is_used_up_also_with_another_time(clock: Clock) -> None:
    memory = _memory(clock)
    memory.take(START, "one")
    with pytest.raises(SealedPhotoRefused):
        memory.take(START + 1, "one")


@pytest.mark.parametrize("iat", [START - MAX_AGE_S - SKEW_S, START + SKEW_S, int(START)])
def test_the_edges_of_the_time_are_taken(clock: Clock, iat: float) -> None:
    _memory(clock).take(iat, "one")


@pytest.mark.parametrize("iat", [START - MAX_AGE_S - SKEW_S - 0.01, START + SKEW_S + 0.01, 0, 253_402_300_799])
def test_beyond_the_edges_a_photo_is_refused(clock: Clock, iat: float) -> None:
    with pytest.raises(SealedPhotoRefused):
        _memory(clock).take(iat, "one")


@pytest.mark.parametrize("iat", [None, True, "1764000000", float("nan"), float("inf"), 10**400, [START], -1])
def test_a_time_that_is_none_is_refused(clock: Clock, iat: object) -> None:
    with pytest.raises(SealedPhotoRefused):
        _memory(clock).take(iat, "one")


@pytest.mark.parametrize("jti", [None, True, 1, "", "j" * 65, "a b", "é", ["one"]])
def test_an_id_that_is_none_is_refused(clock: Clock, jti: object) -> None:
    with pytest.raises(SealedPhotoRefused):
        _memory(clock).take(START, jti)


def test_a_refused_photo_uses_nothing_up(clock: Clock) -> None:
    memory = _memory(clock, remembered=1)
    with pytest.raises(SealedPhotoRefused):
        memory.take(START - 1000, "one")
    memory.take(START, "one")


def test_a_full_memory_asks_to_come_back_when_the_oldest_may_be_forgotten(clock: Clock) -> None:
    memory = _memory(clock, remembered=2)
    memory.take(START - 10, "one")
    memory.take(START, "two")
    with pytest.raises(TryLater) as refused:
        memory.take(START, "three")
    assert refused.value.retry_after_s == MAX_AGE_S + SKEW_S - 10


def test_a_full_memory_refuses_what_it_has_seen(clock: Clock) -> None:
    memory = _memory(clock, remembered=1)
    memory.take(START, "one")
    with pytest.raises(SealedPhotoRefused):
        memory.take(START, "one")


def test_a_full_memory_never_forgets_what_could_be_sent_again(clock: Clock) -> None:
    memory = _memory(clock, remembered=1)
    memory.take(START, "one")
    clock.now += MAX_AGE_S + SKEW_S
    with pytest.raises(TryLater):
        memory.take(clock.now, "two")
    with pytest.raises(SealedPhotoRefused):
        memory.take(START, "one")


def test_what_is_too_old_is_forgotten_and_makes_room(clock: Clock) -> None:
    memory = _memory(clock, remembered=1)
    memory.take(START, "one")
    clock.now += MAX_AGE_S + SKEW_S + 0.1
    memory.take(clock.now, "two")


def test_a_clock_that_is_set_back_brings_nothing_back(clock: Clock) -> None:
    memory = _memory(clock)
    memory.take(START, "one")
    clock.now += 1000
    memory.take(clock.now, "two")
    clock.now = START
    with pytest.raises(SealedPhotoRefused):
        memory.take(START, "one")
    memory.take(START + 1, "three")


def test_what_was_sealed_before_the_memory_began_is_refused(clock: Clock) -> None:
    memory = _memory(clock, age_s=10)
    with pytest.raises(SealedPhotoRefused):
        memory.take(START - 10.5, "one")
    memory.take(START - 10, "one")


class SlowToFind(str):
    """An id that is slow to look up, so that threads meet between a look and what follows from it."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0.002)
        return super().__hash__()


def test_of_many_that_bring_the_same_photo_at_once_one_is_served(clock: Clock) -> None:
    memory, served = _memory(clock), []

    def send() -> None:
        with contextlib.suppress(SealedPhotoRefused):
            memory.take(START, SlowToFind("one"))
            served.append(1)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(served) == 1


def test_a_clock_that_was_ahead_at_the_start_and_is_set_right_is_a_reason_not_to_serve(clock: Clock) -> None:
    memory = _memory(clock, age_s=-365 * 24 * 3600)
    assert memory.reasons() == [CLOCK_SET_BACK]
    with pytest.raises(TryLater) as later:
        memory.take(clock.now, "one")
    assert later.value.retry_after_s == 5
    clock.now += 366 * 24 * 3600
    assert memory.reasons() == []
    memory.take(clock.now, "one")


def test_what_says_not_when_it_was_sealed_is_refused_whatever_the_clock_says(clock: Clock) -> None:
    with pytest.raises(SealedPhotoRefused):
        _memory(clock, age_s=-365 * 24 * 3600).take(None, "one")


def test_a_clock_that_is_set_back_by_no_more_than_clocks_differ_is_none(clock: Clock) -> None:
    assert _memory(clock, age_s=-SKEW_S).reasons() == []
