"""The watchdog is fed while there is progress, and not a moment longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from daemon.config import Health
from daemon.pulse import Pulse

SETTINGS = Health(stuck_s=20.0, idle_test_s=10.0)


@dataclass
class Clock:
    """A clock that a test moves."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class SelfTest:
    """A self-test that gives what the test says, and can be made to hang."""

    passes: bool = True
    begun: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bool:
        self.begun += 1
        self.go_on.wait(10)
        return self.passes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def self_test() -> SelfTest:
    """Hangs until it is told to go on."""
    return SelfTest()


@pytest.fixture
def pulse(clock: Clock, self_test: SelfTest) -> Pulse:
    return Pulse(SETTINGS, self_test, clock)


def _soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not true() and time.monotonic() < until:
        time.sleep(0.005)
    return true()


def test_a_device_that_just_started_beats_without_a_test(pulse: Pulse, self_test: SelfTest) -> None:
    assert pulse.beats()
    assert self_test.begun == 0


def test_work_that_is_in_time_beats(pulse: Pulse, clock: Clock, self_test: SelfTest) -> None:
    with pulse.working():
        clock.now_s = 20.0
        assert pulse.beats()
    assert self_test.begun == 0


def test_work_that_lasts_too_long_stops_the_beat(pulse: Pulse, clock: Clock) -> None:
    with pulse.working():
        clock.now_s = 20.1
        assert not pulse.beats()
    assert pulse.beats()


def test_one_hanging_request_is_not_hidden_by_others_that_end(pulse: Pulse, clock: Clock) -> None:
    with pulse.working():
        clock.now_s = 19.0
        with pulse.working():
            pass
        clock.now_s = 21.0
        assert not pulse.beats()


def test_work_that_raises_has_ended(pulse: Pulse, clock: Clock) -> None:
    with pytest.raises(LookupError), pulse.working():
        raise LookupError
    clock.now_s = 9.0
    assert pulse.beats()


def test_an_idle_device_tests_itself_once_and_goes_on(pulse: Pulse, clock: Clock, self_test: SelfTest) -> None:
    clock.now_s = 10.0
    assert pulse.beats()
    assert _soon(lambda: self_test.begun == 1)
    assert pulse.beats()  # while it runs, no second one
    self_test.go_on.set()
    clock.now_s = 31.0  # had the test not ended, this would be too long
    assert _soon(pulse.beats)
    assert self_test.begun <= 2


def test_an_idle_device_whose_test_hangs_stops_beating(pulse: Pulse, clock: Clock, self_test: SelfTest) -> None:
    clock.now_s = 10.0
    assert pulse.beats()
    clock.now_s = 30.1
    assert not pulse.beats()
    self_test.go_on.set()


def test_an_idle_device_whose_test_fails_stops_beating(pulse: Pulse, clock: Clock, self_test: SelfTest) -> None:
    self_test.passes = False
    self_test.go_on.set()
    clock.now_s = 10.0
    assert pulse.beats()
    assert _soon(lambda: self_test.begun == 1)
    clock.now_s = 30.1
    assert not pulse.beats()
