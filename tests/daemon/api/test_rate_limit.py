"""How often a terminal may ask."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.rate_limit import RateLimit
from daemon.config import Authentication, Terminals
from daemon.errors import RateLimited
from tests.terminals import registry_of, terminal, token_proof
from tools.registry import store


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _limit(clock: Clock, requests_per_minute: int = 60, burst: int = 3) -> RateLimit:
    return RateLimit(Terminals(Authentication.NONE, None, requests_per_minute, burst), None, clock)


def _taken(limit: RateLimit, name: str = "counter-1") -> int:
    """How many requests are allowed in a row; at most 100."""
    count = 0
    with suppress(RateLimited):
        while count < 100:
            limit.take(name)
            count += 1
    return count


def test_a_burst_is_allowed_and_then_no_more(clock: Clock) -> None:
    assert _taken(_limit(clock)) == 3


def test_time_gives_back_what_the_rate_says(clock: Clock) -> None:
    limit = _limit(clock)
    _taken(limit)
    clock.now += 2  # 60 a minute: two in two seconds
    assert _taken(limit) == 2


def test_time_gives_back_no_more_than_a_burst(clock: Clock) -> None:
    limit = _limit(clock)
    _taken(limit)
    clock.now += 3600
    assert _taken(limit) == 3


def test_refused_requests_cost_nothing(clock: Clock) -> None:
    limit = _limit(clock, burst=1)
    _taken(limit)
    for _ in range(5):
        assert _taken(limit) == 0
    clock.now += 1
    assert _taken(limit) == 1


def test_each_terminal_has_its_own_allowance(clock: Clock) -> None:
    limit = _limit(clock)
    _taken(limit, "counter-1")
    assert _taken(limit, "counter-2") == 3


@given(st.integers(1, 10_000), st.integers(1, 5))
def test_who_comes_back_when_told_to_is_allowed(requests_per_minute: int, burst: int) -> None:
    clock = Clock()
    limit = _limit(clock, requests_per_minute, burst)
    for _ in range(burst):
        limit.take("counter-1")
    with pytest.raises(RateLimited) as refused:
        limit.take("counter-1")
    assert refused.value.retry_after_s >= 1
    clock.now += refused.value.retry_after_s
    limit.take("counter-1")


COUNTER = terminal("counter-1", token_proof("token-one"))
BUSY = terminal("busy", token_proof("token-two"), requests_per_minute=120)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "terminals.yaml"


@pytest.fixture
def limit(path: Path, clock: Clock) -> RateLimit:
    """Terminals of a registry; one of them has a rate of its own."""
    settings = Terminals(Authentication.BEARER, path, 60, 3)
    return RateLimit(settings, registry_of(path, COUNTER, BUSY), clock)


@pytest.mark.parametrize(("name", "after_a_second"), [("counter-1", 1), ("busy", 2)])
def test_a_terminal_s_own_rate_counts_before_the_configuration_s(
    limit: RateLimit, clock: Clock, name: str, after_a_second: int
) -> None:
    assert _taken(limit, name) == 3
    clock.now += 1
    assert _taken(limit, name) == after_a_second


def test_a_new_rate_counts_at_once(limit: RateLimit, clock: Clock, path: Path) -> None:
    _taken(limit)
    store(path, (terminal("counter-1", token_proof("token-one"), requests_per_minute=180), BUSY))
    clock.now += 1
    assert _taken(limit) == 3


def test_a_change_of_the_registry_gives_nobody_a_new_burst(limit: RateLimit, path: Path) -> None:
    _taken(limit)
    store(path, (COUNTER,))
    assert _taken(limit) == 0


def test_a_revoked_terminal_leaves_nothing_behind(limit: RateLimit, path: Path) -> None:
    _taken(limit, "busy")
    store(path, (COUNTER,))
    _taken(limit)
    store(path, (COUNTER, BUSY))
    assert _taken(limit, "busy") == 3
