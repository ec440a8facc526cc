"""Operations on keys that are killed anywhere leave the old state or the new one, and finish when they are repeated."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState
from tests.conftest import REPOSITORY, Site, need
from tests.key_stores import key_of
from tests.softhsm import CONF, PROGRAM, is_installed, software_token
from tests.tools.interrupted_keys import CONFIG
from tools.key_changes import adding
from tools.key_store import Operation
from tools.keys import key_store

Found = dict[str, Any]

_KILLS_MIN, _TOKEN_KILLS_MIN = 500, 40
_SHORT_LIVED = Path("/dev/shm")  # noqa: S108 - a folder of random name is made in it
"""A file system in memory, where there is one: a process that is killed loses nothing that it wrote, on any."""

_SITE_KEYS, _INIT_KEYS = 3, 2
"""Keys that a site of the tests has, and that `fvctl keys init` makes."""

_STATES = {"staged": KeyState.STAGED, "active": KeyState.ACTIVE, "retiring": KeyState.RETIRING}
"""Id to state of the keys that the operations are tried on."""

_CHANGES: dict[str, tuple[list[str], dict[str, str]]] = {
    "activate": (["activate", "staged"], {"staged": "active"}),
    "retire": (["retire", "active"], {"active": "retiring"}),
    "destroy": (["destroy", "retiring"], {"retiring": "destroyed"}),
    "rotate-kek": (["rotate-kek"], {}),
}
"""Operation to its arguments, and the states that it changes."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory, where there can be one."""
    parent = _SHORT_LIVED if os.access(_SHORT_LIVED, os.W_OK) else None
    with TemporaryDirectory(dir=parent, prefix="interrupted-keys-") as folder:
        yield Path(folder)


def _prepared(work: Path, base: Path) -> Path:
    """A folder with a store and a key in every state; its paths are those of `work`."""
    work.mkdir()
    config = load_config(Site(work, work / "no engines").write(CONFIG))
    store, _ = key_store(config)
    for kid, state in _STATES.items():
        key = dataclasses.replace(key_of(KeyKind.X25519), kid=kid)
        store.change(Operation("add", kid), adding(key, state, None))
    return work.rename(base)


def _bare(work: Path, base: Path) -> Path:
    """A folder with a configuration alone."""
    _prepared(work, base)
    (base / "kek").unlink()
    shutil.rmtree(base / "keys")
    return base


def _with_token(work: Path, base: Path) -> Path:
    """A folder with a token, and a store under the key in it."""
    _prepared(work, base).rename(work)
    shutil.rmtree(work / "keys")
    with software_token(work) as token:
        document = yaml.safe_load((work / CONFIG).read_text())
        plain = {name: str(value) for name, value in dataclasses.asdict(token).items()}
        document["keys"] |= {"kek": "pkcs11", "pkcs11": plain}
        (work / CONFIG).write_text(yaml.safe_dump(document))
        _run("tools.cli", "keys", "init", "--config", str(work / CONFIG))
    return work.rename(base)


def _run(module: str, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _killed(base: Path, work: Path, jobs: list[tuple[list[str], str, int]]) -> list[Found]:
    plain = [
        {"base": str(base), "work": str(work), "arguments": arguments, "how": how, "every": every}
        for arguments, how, every in jobs
    ]
    found = json.loads(_run("tests.tools.interrupted_keys", json.dumps(plain), SOFTHSM2_CONF=str(work / CONF)))
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def killed(folder: Path) -> list[Found]:
    """What was found after kills of operations on a store under a key in a file."""
    work = folder / "work"
    jobs = [
        (arguments, how, every)
        for arguments, _ in _CHANGES.values()
        for how, every in (("line", 5), ("step", 1), ("delay", 25))
    ]
    return _killed(_prepared(work, folder / "base"), work, jobs)


@pytest.fixture(scope="module")
def killed_adding(folder: Path) -> list[Found]:
    """The same for an operation that does something else when it is repeated."""
    work = folder / "work-add"
    jobs = [(["add", "--activate"], how, every) for how, every in (("line", 5), ("step", 1), ("delay", 25))]
    return _killed(_prepared(work, folder / "base-add"), work, jobs)


@pytest.fixture(scope="module")
def killed_at_the_beginning(folder: Path) -> list[Found]:
    """The same where there is no store yet."""
    work = folder / "work-init"
    jobs = [(["init"], how, every) for how, every in (("line", 5), ("step", 1), ("delay", 25))]
    return _killed(_bare(work, folder / "base-init"), work, jobs)


@pytest.fixture(scope="module")
def killed_with_token(folder: Path) -> list[Found]:
    """The same for a key inside a token."""
    need(PROGRAM, is_installed())
    work = folder / "work-token"
    jobs = [(["rotate-kek"], how, every) for how, every in (("line", 10), ("step", 3), ("delay", 15))]
    return _killed(_with_token(work, folder / "base-token"), work, jobs)


def _states(found: Found, when: str) -> dict[str, str]:
    """States of the keys that a test looks at; what does not open or prove its log fails here."""
    assert isinstance(found[when], dict), found
    return {kid: found[when]["states"][kid] for kid in _STATES}


def _expected(operation: str) -> tuple[dict[str, str], dict[str, str]]:
    before = {kid: state.value for kid, state in _STATES.items()}
    return before, before | _CHANGES[operation][1]


def test_the_store_opens_with_the_old_state_or_the_new_one(killed: list[Found]) -> None:
    for found in killed:
        assert _states(found, "found") in _expected(found["operation"]), found


def test_the_log_says_at_most_one_operation_that_took_no_effect(killed: list[Found]) -> None:
    for found in killed:
        assert found["found"]["interrupted"] in ([], [found["operation"]]), found


def test_a_repeated_operation_finishes(killed: list[Found]) -> None:
    for found in killed:
        before, after = _expected(found["operation"])
        assert _states(found, "then") == after, found
        assert found["then"]["interrupted"] == [], found
        done_already = before != after and _states(found, "found") == after
        assert (found["repeated"] == 0) != done_already, found


def test_an_added_key_is_there_or_not(killed_adding: list[Found]) -> None:
    for found in killed_adding:
        _states(found, "found")
        number = len(found["found"]["states"])
        assert number in (len(_STATES) + _SITE_KEYS, len(_STATES) + _SITE_KEYS + 1)
        assert found["repeated"] == 0
        assert len(found["then"]["states"]) == number + 1


def test_a_store_is_made_or_can_be_made(killed_at_the_beginning: list[Found]) -> None:
    for found in killed_at_the_beginning:
        there = isinstance(found["found"], dict)
        assert there or found["found"].endswith("Run: fvctl keys init"), found
        assert (found["repeated"] == 0) != there, found
        assert len(found["then"]["states"]) == _INIT_KEYS, found


def test_a_key_inside_a_token_is_rotated_or_can_be(killed_with_token: list[Found]) -> None:
    for found in killed_with_token:
        assert found["found"]["states"] == found["then"]["states"], found
        assert found["found"]["interrupted"] in ([], ["rotate-kek"]), found
        assert (found["repeated"], found["then"]["interrupted"]) == (0, []), found


def test_kills_were_many_and_came_before_and_after_the_change(
    killed: list[Found],
    killed_adding: list[Found],
    killed_at_the_beginning: list[Found],
    killed_with_token: list[Found],
) -> None:
    assert len([*killed, *killed_adding, *killed_at_the_beginning, *killed_with_token]) >= _KILLS_MIN
    assert len(killed_with_token) >= _TOKEN_KILLS_MIN
    assert {len(found["found"].get("interrupted", [])) for found in killed_with_token} == {0, 1}
    assert {found["how"] for found in killed} == {"line", "step", "delay"}
    for operation in ("activate", "retire", "destroy"):
        seen = [_states(found, "found") for found in killed if found["operation"] == operation]
        assert all(state in seen for state in _expected(operation))
    for operation in _CHANGES:
        assert any(found["found"]["interrupted"] for found in killed if found["operation"] == operation)
    assert {isinstance(found["found"], dict) for found in killed_at_the_beginning} == {True, False}
