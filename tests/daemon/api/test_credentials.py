"""Which terminal is calling, by token, by certificate, or because all are one."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from daemon.api.certificate import ShownCertificate
from daemon.api.credentials import ANYONE, UNREADABLE, Credentials, today_utc, token_hash
from daemon.api.registry import TerminalRecord
from daemon.config import Authentication
from daemon.errors import ConfigurationRefused, UnknownTerminal
from tests.terminals import certificate_proof, registry_of, subject_proof, terminal, token_proof
from tools.registry import store

TODAY = date(2026, 11, 25)
BY_TOKEN = (
    terminal("counter-1", token_proof("token-one")),
    terminal("counter-2", token_proof("token-two")),
    terminal("till-1", certificate_proof("ab" * 32)),
)
BY_CERTIFICATE = (
    terminal("till-1", certificate_proof("ab" * 32)),
    terminal("till-2", subject_proof("Till-2.branch.example")),
    terminal("counter-1", token_proof("token-one")),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "terminals.yaml"


def _credentials(path: Path, authentication: Authentication, *terminals: TerminalRecord) -> Credentials:
    return Credentials(authentication, registry_of(path, *terminals), lambda: TODAY)


@pytest.fixture
def tokens(path: Path) -> Credentials:
    """Terminals show a token."""
    return _credentials(path, Authentication.BEARER, *BY_TOKEN)


@pytest.fixture
def certificates(path: Path) -> Credentials:
    """Terminals show a certificate."""
    return _credentials(path, Authentication.MUTUAL_TLS, *BY_CERTIFICATE)


def test_a_token_hash_is_sha256_of_salt_and_token() -> None:
    # Source: FIPS 180-4's example "abc": the salt's bytes are its first two letters.
    assert token_hash("6162", "c") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_today_is_the_date_in_utc() -> None:
    before = datetime.now(timezone.utc).date()
    assert before <= today_utc() <= datetime.now(timezone.utc).date()


@pytest.mark.parametrize(("token", "name"), [("token-one", "counter-1"), ("token-two", "counter-2")])
def test_a_known_token_names_its_terminal(tokens: Credentials, token: str, name: str) -> None:
    assert tokens.sender(f"Bearer {token}", None).name == name


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_read_in_any_case(tokens: Credentials, scheme: str) -> None:
    assert tokens.sender(f"{scheme} token-one", None).name == "counter-1"


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
        f"Bearer {token_proof('token-one').token_sha256}",
    ],
)
def test_any_other_header_is_an_unknown_terminal(tokens: Credentials, authorization: str | None) -> None:
    with pytest.raises(UnknownTerminal):
        tokens.sender(authorization, None)


def test_an_empty_token_is_unknown_even_where_its_hash_is_in_the_file(path: Path) -> None:
    careless = _credentials(path, Authentication.BEARER, terminal("careless", token_proof("")))
    with pytest.raises(UnknownTerminal):
        careless.sender("Bearer ", None)


def test_a_certificate_is_known_by_its_hash(certificates: Credentials) -> None:
    assert certificates.sender(None, ShownCertificate("ab" * 32, ())).name == "till-1"


@pytest.mark.parametrize("names", [("till-2.branch.example",), ("other.example", "till-2.branch.example")])
def test_a_certificate_of_the_branch_is_known_by_its_name(certificates: Credentials, names: tuple[str, ...]) -> None:
    assert certificates.sender(None, ShownCertificate("cd" * 32, names)).name == "till-2"


@pytest.mark.parametrize(
    "certificate",
    [
        None,
        ShownCertificate("cd" * 32, ()),
        ShownCertificate("cd" * 32, ("till-1",)),
        ShownCertificate("cd" * 32, ("*.branch.example", "branch.example", "till-2.branch.example.org")),
    ],
)
def test_any_other_certificate_is_an_unknown_terminal(
    certificates: Credentials, certificate: ShownCertificate | None
) -> None:
    with pytest.raises(UnknownTerminal):
        certificates.sender(None, certificate)


def test_a_token_does_not_count_where_certificates_are_asked_for(certificates: Credentials) -> None:
    with pytest.raises(UnknownTerminal):
        certificates.sender("Bearer token-one", None)


def test_a_certificate_does_not_count_where_tokens_are_asked_for(tokens: Credentials) -> None:
    with pytest.raises(UnknownTerminal):
        tokens.sender(None, ShownCertificate("ab" * 32, ()))


@pytest.mark.parametrize("authentication", [Authentication.BEARER, Authentication.MUTUAL_TLS])
def test_without_any_terminal_in_the_file_nobody_is_known(path: Path, authentication: Authentication) -> None:
    with pytest.raises(UnknownTerminal):
        _credentials(path, authentication).sender("Bearer token-one", ShownCertificate("ab" * 32, ("a",)))


def test_where_terminals_are_not_authenticated_all_callers_are_one() -> None:
    open_to_all = Credentials(Authentication.NONE, None, lambda: TODAY)
    assert open_to_all.sender(None, None) == open_to_all.sender("Bearer x", None) == ANYONE
    assert open_to_all.challenge is None
    assert open_to_all.reasons() == []


def test_only_who_is_to_show_a_token_is_told_so(path: Path) -> None:
    assert _credentials(path, Authentication.BEARER).challenge == "Bearer"
    assert _credentials(path, Authentication.MUTUAL_TLS).challenge is None


@pytest.mark.parametrize(
    ("until", "opens"),
    [(None, False), (date(2026, 11, 24), False), (date(2026, 11, 25), True), (date(2026, 11, 26), True)],
)
def test_the_legacy_format_opens_up_to_and_on_its_last_day(path: Path, until: date | None, opens: bool) -> None:
    credentials = _credentials(path, Authentication.BEARER, terminal("counter-1", token_proof("token-one"), until))
    assert credentials.sender("Bearer token-one", None).legacy is opens


def test_a_revoked_terminal_is_unknown_at_its_next_request(path: Path, tokens: Credentials) -> None:
    tokens.sender("Bearer token-one", None)
    store(path, BY_TOKEN[1:])
    with pytest.raises(UnknownTerminal):
        tokens.sender("Bearer token-one", None)


def test_an_added_terminal_is_known_at_its_first_request(path: Path, tokens: Credentials) -> None:
    with pytest.raises(UnknownTerminal):
        tokens.sender("Bearer token-three", None)
    store(path, (*BY_TOKEN, terminal("counter-3", token_proof("token-three"))))
    assert tokens.sender("Bearer token-three", None).name == "counter-3"


def test_with_a_faulty_file_nobody_is_let_in_until_it_is_repaired(path: Path, tokens: Credentials) -> None:
    path.write_text("terminals: [")
    for _ in range(2):
        with pytest.raises(ConfigurationRefused, match=r"terminals\.yaml cannot be read"):
            tokens.sender("Bearer token-one", None)
    assert tokens.reasons() == [UNREADABLE]
    store(path, BY_TOKEN)
    assert tokens.sender("Bearer token-one", None).name == "counter-1"
    assert tokens.reasons() == []
