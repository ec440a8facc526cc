"""The last hour is kept by the minute, in a fixed amount of memory."""

from __future__ import annotations

import pytest

from daemon.recent import MINUTES, Recent, percentile_ms


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def recent(clock: Clock) -> Recent:
    """An hour in which nothing was asked."""
    return Recent(clock, lambda: 3)


def test_an_hour_has_sixty_minutes_also_where_nothing_was_asked(recent: Recent) -> None:
    assert [minute.codes.total() for minute in recent.minutes()] == [0] * MINUTES
    assert percentile_ms(recent.minutes(), 50) is None


def test_answers_are_counted_in_the_minute_in_which_they_were_given(recent: Recent, clock: Clock) -> None:
    recent.add(1000, 20)
    clock.now += 120
    recent.add(4000, 20)
    recent.add(1000, 20)
    last = recent.minutes()[-3:]
    assert [dict(minute.codes) for minute in last] == [{1000: 1}, {}, {4000: 1, 1000: 1}]
    assert last[-1].waiting_max == 3


def test_what_is_an_hour_old_is_forgotten(recent: Recent, clock: Clock) -> None:
    recent.add(1000, 20)
    clock.now += 59 * 60
    assert sum(minute.codes.total() for minute in recent.minutes()) == 1
    clock.now += 60
    assert sum(minute.codes.total() for minute in recent.minutes()) == 0


def test_percentiles_are_right_to_within_five_percent(recent: Recent) -> None:
    for took_ms in range(1, 1001):  # so many percent of 1000 ms are the percentile, by how they are chosen
        recent.add(1000, took_ms)
    for percent in (50, 95, 99):
        assert percentile_ms(recent.minutes(), percent) == pytest.approx(10 * percent, rel=0.05)


@pytest.mark.parametrize("took_ms", [0.0, 0.01, 1e6])
def test_any_duration_can_be_kept(recent: Recent, took_ms: float) -> None:
    recent.add(1000, took_ms)
    assert percentile_ms(recent.minutes(), 50) == pytest.approx(max(took_ms, 0.1), rel=0.05)


def test_what_was_asked_for_does_not_change_any_more(recent: Recent) -> None:
    recent.add(1000, 20)
    seen = recent.minutes()[-1]
    recent.add(4000, 900)
    assert dict(seen.codes) == {1000: 1}
    assert seen.percentile_ms(99) == pytest.approx(20, rel=0.05)


def test_a_busy_day_takes_no_more_memory_than_its_last_hour(recent: Recent, clock: Clock) -> None:
    for _ in range(24 * 60):
        recent.add(1000, 20)
        clock.now += 60
    assert len(recent._minutes) == MINUTES
