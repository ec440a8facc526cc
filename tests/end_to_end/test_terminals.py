"""Terminals that show certificates, through a real gunicorn that speaks TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from daemon.api.registry import TerminalRecord
from daemon.api.verification import PATH
from tests.certificates import NOW, TlsSite, branch_certificate, new_tls_site
from tests.end_to_end.conftest import Start, soon
from tests.end_to_end.contract import check_compared, check_refused, split_answers
from tests.running_daemon import FORM, Answer, RunningDaemon, ask
from tests.terminals import certificate_proof, subject_proof, terminal, token_proof
from tools.authority import Issued
from tools.registry import store

Sealed = Callable[[bytes, bytes], dict[str, str]]


class Branch:
    """A daemon that asks for certificates, and terminals with certificates of every kind."""

    def __init__(self, folder: Path) -> None:
        self.site: TlsSite = new_tls_site(folder)
        branch_authority, self.of_branch = branch_certificate("Till 2", ("till-2.branch.example",))
        assert self.site.tls.terminals_ca is not None
        self.site.tls.terminals_ca.write_bytes(self.site.authority.certificate_pem + branch_authority)
        _, self.foreign = branch_certificate("Till 2", ("till-2.branch.example",), "Other CA")
        _, self.impostor = branch_certificate("Till 2", ("till-2.branch.example",))
        self.own, self.not_added = (self.site.authority.for_terminal(name, NOW) for name in ("till-1", "till-9"))
        self.registry = folder / "terminals.yaml"
        self.known = (
            terminal("till-1", certificate_proof(self.own.sha256), date.max),
            terminal("till-2", subject_proof("till-2.branch.example"), date.max),
        )
        self.store()

    def store(self, *more: TerminalRecord) -> None:
        """Write the registry: the known terminals and more."""
        store(self.registry, (*self.known, *more))

    @property
    def changes(self) -> dict[str, Any]:
        """What of the configuration is another than in the site of all tests."""
        terminals = {"authentication": "mutual_tls", "registry": str(self.registry)}
        return {"server": {"tls": self.site.document, "receive_s": 2.0}, "terminals": terminals}


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Branch:
    return Branch(tmp_path_factory.mktemp("branch"))


@pytest.fixture(scope="module")
def mutual(start: Start, branch: Branch) -> RunningDaemon:
    """The daemon, seen by a terminal without a certificate."""
    return start("mutual", tls=branch.site.terminal(), **branch.changes)


@pytest.fixture
def seen_by(mutual: RunningDaemon, branch: Branch) -> Callable[[Issued], RunningDaemon]:
    """The daemon, seen by a terminal with a certificate."""
    return lambda issued: mutual.seen_by(branch.site.terminal(issued))


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


SeenBy = Callable[[Issued], RunningDaemon]


def _no_credential(answer: Answer) -> None:
    check_refused(answer, 1100, status=401)
    assert "www-authenticate" not in answer.headers


def test_terminal_with_a_certificate_of_the_device_is_served_and_named(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    daemon = seen_by(branch.own)
    check_compared(daemon.verify(pair))
    assert daemon.events[-1]["terminal"] == "till-1"


def test_terminal_with_a_certificate_of_the_branch_is_served_and_named(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    daemon = seen_by(branch.of_branch)
    check_compared(daemon.verify(pair))
    assert daemon.events[-1]["terminal"] == "till-2"


def test_terminal_without_a_certificate_is_told_in_the_contract_s_words(
    mutual: RunningDaemon, pair: dict[str, str]
) -> None:
    _no_credential(mutual.verify(pair))
    _no_credential(mutual.verify(pair, {"Authorization": "Bearer token-one"}))


def test_terminal_that_was_not_added_is_told_in_the_contract_s_words(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    daemon = seen_by(branch.not_added)
    _no_credential(daemon.verify(pair))
    assert "terminal" not in daemon.events[-1]


@pytest.mark.parametrize(
    ("whose", "told"),
    [("foreign", "unable to get local issuer certificate"), ("impostor", "certificate signature failure")],
)
def test_terminal_of_a_foreign_authority_does_not_get_through_the_handshake(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str], whose: str, told: str
) -> None:
    daemon = seen_by(getattr(branch, whose))

    def failures() -> list[str]:
        return [event["reason"] for event in daemon.events if event["event"] == "tls_failed"]

    before = len(failures())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        daemon.verify(pair)
    assert soon(lambda: len(failures()) > before)  # the line may come after the terminal was turned away
    assert failures()[before:] == [told]


def _post(connection: Any, form: dict[str, str]) -> Answer:  # noqa: ANN401 - HTTPConnection
    return ask(connection, "POST", PATH, urlencode(form).encode(), {"Content-Type": FORM})


def test_revoked_terminal_is_refused_on_the_connection_it_has(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    third = branch.site.authority.for_terminal("till-3", NOW)
    branch.store(terminal("till-3", certificate_proof(third.sha256), date.max))
    with closing(seen_by(third).connect()) as connection:
        check_compared(_post(connection, pair))
        socket_before = connection.sock
        branch.store()
        _no_credential(_post(connection, pair))
        assert connection.sock is socket_before


def test_added_terminal_is_served_on_the_connection_it_has(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    fourth = branch.site.authority.for_terminal("till-4", NOW)
    with closing(seen_by(fourth).connect()) as connection:
        _no_credential(_post(connection, pair))
        branch.store(terminal("till-4", certificate_proof(fourth.sha256), date.max))
        check_compared(_post(connection, pair))
        branch.store()


def test_legacy_photos_of_a_terminal_whose_time_is_over_do_not_open(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    fifth = branch.site.authority.for_terminal("till-5", NOW)
    branch.store(terminal("till-5", certificate_proof(fifth.sha256), date(2026, 1, 1)))
    check_refused(seen_by(fifth).verify(pair), 1200, field="first_encrypted_image")
    branch.store()


def test_faulty_registry_lets_nobody_in_and_serves_again_when_it_is_repaired(
    seen_by: SeenBy, branch: Branch, pair: dict[str, str]
) -> None:
    daemon = seen_by(branch.own)
    branch.registry.write_text("terminals: [")
    check_refused(daemon.verify(pair), 5003, status=503)
    ready = daemon.get("/readyz")
    assert (ready.status, ready.json["reasons"]) == (503, ["terminals_unreadable"])
    fault = [event for event in daemon.events if event["event"] == "fault"][-1]
    assert "terminals.yaml cannot be read" in fault["reason"]
    assert fault["remedy"]
    branch.store()
    check_compared(daemon.verify(pair))
    assert daemon.get("/readyz").status == 200


@pytest.mark.parametrize("more", ["", "Expect: 100-continue\r\n"])
def test_unknown_terminal_is_refused_before_it_sends_its_body(mutual: RunningDaemon, more: str) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: device\r\nContent-Type: {FORM}\r\nContent-Length: 16000000\r\n{more}"
    with mutual.open() as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        stream = b"".join(iter(lambda: connection.recv(65536), b""))
    (answer,) = split_answers(stream)
    _no_credential(answer)


@pytest.fixture(scope="module")
def bearer(start: Start, tmp_path_factory: pytest.TempPathFactory) -> RunningDaemon:
    """A daemon that asks for tokens, over TLS."""
    folder = tmp_path_factory.mktemp("bearer")
    site, registry = new_tls_site(folder), folder / "terminals.yaml"
    store(registry, (terminal("counter-1", token_proof("token-one"), date.max),))
    terminals = {"authentication": "bearer", "registry": str(registry)}
    return start("bearer", tls=site.terminal(), server={"tls": site.document}, terminals=terminals)


def test_terminal_with_a_token_is_served_over_tls(bearer: RunningDaemon, pair: dict[str, str]) -> None:
    check_compared(bearer.verify(pair, {"Authorization": "Bearer token-one"}))
    assert bearer.events[-1]["terminal"] == "counter-1"


def test_terminal_with_another_token_is_asked_for_one(bearer: RunningDaemon, pair: dict[str, str]) -> None:
    answer = bearer.verify(pair, {"Authorization": "Bearer token-two"})
    check_refused(answer, 1100, status=401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_credential_gets_into_the_journal(bearer: RunningDaemon, mutual: RunningDaemon, branch: Branch) -> None:
    text = bearer.log.read_text() + mutual.log.read_text()
    assert not [secret for secret in ("token-one", "token-two", branch.own.sha256, "PRIVATE KEY") if secret in text]
