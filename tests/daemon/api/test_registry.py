"""The file of terminals: what it may hold, who may read it, and what is refused."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.api.registry import TerminalRecord, load_registry, watch_registry
from daemon.config import Authentication, Terminals
from daemon.errors import ConfigurationRefused
from tests.terminals import certificate_proof, registry_of, subject_proof, terminal, token_proof
from tools.registry import store

ONE = terminal("till-1", token_proof("token-one"), date(2027, 6, 30), 60)
TWO = terminal("till-2", certificate_proof("ab" * 32))
THREE = terminal("till-3", subject_proof("till-3.branch.example"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "terminals.yaml"


def _settings(path: Path | None, authentication: Authentication = Authentication.BEARER) -> Terminals:
    return Terminals(authentication, path, 60, 3)


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        load_registry(path)
    return str(refused.value)


def test_what_is_stored_is_what_is_read(path: Path) -> None:
    store(path, (ONE, TWO, THREE))
    registry = load_registry(path)
    assert registry.terminals == (ONE, TWO, THREE)
    assert registry.by_name == {"till-1": ONE, "till-2": TWO, "till-3": THREE}


def test_a_file_written_by_hand_is_read(path: Path) -> None:
    path.write_text(
        "terminals:\n"
        "- name: till-3\n"
        "  proof: {kind: subject, subject: till-3.branch.example}\n"
        "  legacy_until: 2027-06-30\n"
        "  requests_per_minute: null\n"
        "  added_utc: 2026-11-25T18:00:00Z\n"
    )
    path.chmod(0o600)
    (record,) = load_registry(path).terminals
    assert record.legacy_until == date(2027, 6, 30)
    assert record.proof == THREE.proof


def _written(path: Path, **changes: Any) -> Path:  # noqa: ANN401 - YAML
    """A registry of one terminal, with changes that the product itself would not write."""
    record: dict[str, Any] = dataclasses.asdict(ONE)
    proof = record["proof"] | changes.pop("proof", {})
    path.write_text(yaml.safe_dump({"terminals": [record | changes | {"proof": proof}]}))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "-till"},
        {"name": "till\n"},
        {"name": "x" * 65},
        {"proof": {"salt": "short"}},
        {"proof": {"salt": "0" * 31}},
        {"proof": {"salt": "0" * 33}},
        {"proof": {"token_sha256": "G" * 64}},
        {"proof": {"token_sha256": "0" * 63}},
        {"proof": {"token": "in-plain"}},
        {"proof": {"kind": "certificate"}},
        {"proof": {"kind": "none"}},
        {"legacy_until": "soon"},
        {"legacy_until": 20270630},
        {"legacy_until": True},
        {"requests_per_minute": 0},
        {"requests_per_minute": "60"},
        {"added_utc": "2026-11-25T18:00:00"},
        {"token": "in-plain"},
    ],
)
def test_a_malformed_terminal_is_refused_and_not_repeated(path: Path, changes: dict[str, Any]) -> None:
    assert "in-plain" not in _refusal(_written(path, **changes))


@pytest.mark.parametrize("missing", ["name", "proof", "legacy_until", "requests_per_minute", "added_utc"])
def test_nothing_may_be_left_out(path: Path, missing: str) -> None:
    _written(path)
    document = yaml.safe_load(path.read_text())
    del document["terminals"][0][missing]
    path.write_text(yaml.safe_dump(document))
    assert f"{missing}: Field required" in _refusal(path)


@pytest.mark.parametrize("subject", ["", " till", "till ", "a\tb", "x" * 254])
def test_a_malformed_subject_is_refused(path: Path, subject: str) -> None:
    _written(path)
    document = yaml.safe_load(path.read_text())
    document["terminals"][0]["proof"] = {"kind": "subject", "subject": subject}
    path.write_text(yaml.safe_dump(document))
    assert "proof" in _refusal(path)


def test_a_name_given_twice_is_refused(path: Path) -> None:
    store(path, (ONE, dataclasses.replace(TWO, name="till-1")))
    assert "given twice: till-1" in _refusal(path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ONE, ONE),
        (TWO, TWO),
        (THREE, THREE),
        (THREE, dataclasses.replace(THREE, proof=subject_proof("TILL-3.branch.example"))),
    ],
)
def test_two_terminals_that_show_the_same_are_refused(path: Path, one: TerminalRecord, other: TerminalRecord) -> None:
    store(path, (one, dataclasses.replace(other, name="till-9")))
    text = _refusal(path)
    assert f"{one.name}, till-9" in text
    assert "token_sha256" not in text


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    store(path, (ONE,))
    path.chmod(mode)
    assert f"chmod 600 {path}" in _refusal(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationRefused):
        watch_registry(_settings(path))


def test_no_file_is_read_where_terminals_are_not_authenticated(path: Path) -> None:
    assert watch_registry(_settings(path, Authentication.NONE)) is None


@pytest.mark.parametrize("authentication", [Authentication.BEARER, Authentication.MUTUAL_TLS])
def test_without_a_file_nobody_is_let_in(authentication: Authentication) -> None:
    with pytest.raises(ConfigurationRefused, match=r"terminals\.registry"):
        watch_registry(_settings(None, authentication))


def test_the_configured_file_is_followed(path: Path) -> None:
    registry_of(path, ONE)
    watched = watch_registry(_settings(path))
    assert watched is not None
    store(path, (ONE, TWO))
    assert set(watched.current().by_name) == {"till-1", "till-2"}
