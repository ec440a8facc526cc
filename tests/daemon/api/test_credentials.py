"""Which terminal is calling, and how often it may."""

from __future__ import annotations

import dataclasses
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.credentials import ANYONE, Credentials, RateLimit, TerminalRecord, load_credentials, token_hash
from daemon.config import Authentication, Terminals
from daemon.errors import ConfigurationRefused, RateLimited, UnknownTerminal

SALT = "00112233445566778899aabbccddeeff"


def _record(name: str, token: str) -> TerminalRecord:
    return TerminalRecord(name, SALT, hashlib.sha256(bytes.fromhex(SALT) + token.encode()).hexdigest())


KNOWN = Credentials((_record("counter-1", "token-one"), _record("counter-2", "token-two")))


def test_a_token_hash_is_sha256_of_salt_and_token() -> None:
    # Source: FIPS 180-4's example "abc": the salt's bytes are its first two letters.
    assert token_hash("6162", "c") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(("token", "name"), [("token-one", "counter-1"), ("token-two", "counter-2")])
def test_a_known_token_names_its_terminal(token: str, name: str) -> None:
    assert KNOWN.terminal(f"Bearer {token}") == name


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert KNOWN.terminal(f"{scheme} token-one") == "counter-1"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "token-one",
        "Basic token-one",
        "Bearer token-three",
        "Bearer TOKEN-ONE",
        "Bearer token-one ",
        "Bearer  token-one",
        "Bearer t\xf6ken",
        f"Bearer {_record('counter-1', 'token-one').token_sha256}",
    ],
)
def test_anything_else_is_an_unknown_terminal(authorization: str | None) -> None:
    with pytest.raises(UnknownTerminal):
        KNOWN.terminal(authorization)


def test_an_empty_token_is_unknown_even_where_its_hash_is_in_the_file() -> None:
    with pytest.raises(UnknownTerminal):
        Credentials((_record("careless", ""),)).terminal("Bearer ")


def test_without_any_terminal_in_the_file_nobody_is_known() -> None:
    with pytest.raises(UnknownTerminal):
        Credentials(()).terminal("Bearer token-one")


def test_where_terminals_are_not_authenticated_all_callers_are_one() -> None:
    assert Credentials(None).terminal(None) == Credentials(None).terminal("Bearer x") == ANYONE


def _settings(tokens: Path | None, requests_per_minute: int = 60, burst: int = 3) -> Terminals:
    kind = Authentication.NONE if tokens is None else Authentication.BEARER
    return Terminals(kind, tokens, requests_per_minute, burst)


def _token_file(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "tokens.yaml"
    record = dataclasses.asdict(_record("counter-1", "token-one")) | changes
    path.write_text(yaml.safe_dump({"terminals": [record]}))
    return path


def test_the_terminals_of_the_file_are_known(tmp_path: Path) -> None:
    assert load_credentials(_settings(_token_file(tmp_path))).terminal("Bearer token-one") == "counter-1"


def test_no_file_is_read_where_terminals_are_not_authenticated() -> None:
    assert load_credentials(_settings(None)).terminal(None) == ANYONE


def test_without_a_token_file_nobody_is_let_in() -> None:
    with pytest.raises(ConfigurationRefused):
        load_credentials(dataclasses.replace(_settings(None), authentication=Authentication.BEARER))


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": "short"},
        {"salt": "0" * 31},
        {"salt": "0" * 33},
        {"token_sha256": "G" * 64},
        {"token_sha256": "0" * 63},
        {"token": "in plain"},
    ],
)
def test_a_malformed_terminal_is_refused_when_the_file_is_read(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationRefused):
        load_credentials(_settings(_token_file(tmp_path, **changes)))


def test_a_token_that_was_put_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        load_credentials(_settings(_token_file(tmp_path, token="a-token-in-plain")))
    assert "a-token-in-plain" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused):
        load_credentials(_settings(tmp_path / "absent.yaml"))


class Clock:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _taken(limit: RateLimit, terminal: str = "counter-1") -> int:
    """How many requests are allowed in a row; at most 100."""
    count = 0
    with suppress(RateLimited):
        while count < 100:
            limit.take(terminal)
            count += 1
    return count


def test_a_burst_is_allowed_and_then_no_more() -> None:
    assert _taken(RateLimit(_settings(None, burst=3), Clock())) == 3


def test_time_gives_back_what_the_rate_says() -> None:
    clock = Clock()
    limit = RateLimit(_settings(None, requests_per_minute=60, burst=3), clock)
    _taken(limit)
    clock.now += 2  # 60 a minute: two in two seconds
    assert _taken(limit) == 2


def test_time_gives_back_no_more_than_a_burst() -> None:
    clock = Clock()
    limit = RateLimit(_settings(None, requests_per_minute=60, burst=3), clock)
    _taken(limit)
    clock.now += 3600
    assert _taken(limit) == 3


def test_refused_requests_cost_nothing() -> None:
    clock = Clock()
    limit = RateLimit(_settings(None, requests_per_minute=60, burst=1), clock)
    _taken(limit)
    for _ in range(5):
        assert _taken(limit) == 0
    clock.now += 1
    assert _taken(limit) == 1


def test_each_terminal_has_its_own_allowance() -> None:
    limit = RateLimit(_settings(None, burst=3), Clock())
    _taken(limit, "counter-1")
    assert _taken(limit, "counter-2") == 3


@given(st.integers(1, 10_000), st.integers(1, 5))
def test_who_comes_back_when_told_to_is_allowed(requests_per_minute: int, burst: int) -> None:
    clock = Clock()
    limit = RateLimit(_settings(None, requests_per_minute, burst), clock)
    for _ in range(burst):
        limit.take("counter-1")
    with pytest.raises(RateLimited) as refused:
        limit.take("counter-1")
    assert refused.value.retry_after_s >= 1
    clock.now += refused.value.retry_after_s
    limit.take("counter-1")
