"""Why the device does not serve, what needs a technician, and what ends when; in doctor's words."""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from daemon.api.admission import Turnstile
from daemon.api.condition import DEVICE, Condition, Ending, Trouble
from daemon.api.credentials import today_utc
from daemon.app import watched_ring
from daemon.config import Config, Freshness, load_config
from daemon.sealed.freshness import FreshPhotos
from daemon.sealed.keyring import LEGACY_WARNING, PUBLISHED_WARNING
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE
from daemon.tls import EXPIRES_SOON, ServerTls
from tests.certificates import NOW, new_tls_site
from tests.conftest import Site
from tests.terminals import Proof, certificate_proof, registry_of, terminal, token_proof
from tools.cli import main
from tools.key_changes import adding, moving
from tools.key_making import make_key
from tools.key_store import Operation
from tools.keys import key_store


@pytest.fixture
def config(tmp_path: Path, engines: Path) -> Config:
    """A site of this test's own; its engines are not looked at."""
    return load_config(Site(tmp_path, engines).write())


@pytest.fixture
def condition(config: Config) -> Condition:
    """A device that serves, with everything that can end."""
    folder = config.keys.store.parent
    proofs: dict[str, Proof] = {
        "till-1": certificate_proof("0" * 64, NOW + timedelta(days=3)),
        "till-2": token_proof("token"),
    }
    registry = registry_of(folder / "terminals.yaml", *(terminal(name, proof) for name, proof in proofs.items()))
    (folder / "tls").mkdir()
    tls = ServerTls(new_tls_site(folder / "tls").tls, False, lambda _fault: None)
    turnstile = Turnstile(config.admission, lambda: 0.0)
    return Condition((), watched_ring(config), config.sealed, registry, None, tls, turnstile, lambda: ())


def _store(config: Config) -> Path:
    return config.keys.store / STORE_FILE


def test_a_device_without_troubles_has_no_reasons(condition: Condition) -> None:
    assert (condition.troubles(), condition.reasons(), condition.weaknesses()) == ([], [], [])


def test_a_key_store_that_others_may_read_is_a_trouble_with_doctors_remedy(
    config: Config, condition: Condition, capsys: pytest.CaptureFixture[str]
) -> None:
    _store(config).chmod(0o644)
    (trouble,) = condition.troubles()
    path = config.keys.store.parent / "faceverifyd.yaml"
    main(["doctor", "--only", "key_store", "--json", "--config", str(path)])
    (row,) = json.loads(capsys.readouterr().out)
    assert trouble == Trouble("keys_unreadable", row["seen"], row["remedy"])


def test_a_registry_that_cannot_be_read_is_a_trouble(config: Config, condition: Condition) -> None:
    (config.keys.store.parent / "terminals.yaml").write_text("terminals: 7\n")
    (trouble,) = condition.troubles()
    assert trouble.id == "terminals_unreadable"
    assert "terminals.yaml" in trouble.remedy


def test_a_clock_that_was_set_back_is_a_trouble(condition: Condition) -> None:
    times = iter([1000.0, 10.0])
    memory = FreshPhotos(Freshness(60.0, 0.0, 10), lambda: next(times))
    (trouble,) = dataclasses.replace(condition, memory=memory).troubles()
    assert trouble.id == "clock_set_back"
    assert "timedatectl" in trouble.remedy


def test_a_format_whose_last_key_is_destroyed_is_a_trouble_with_doctors_remedy(
    config: Config, condition: Condition, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, _ = key_store(config)
    (kid,) = [record.kid for record in keys.opened().file.keys if record.kind is KeyKind.X25519]
    for state in (KeyState.RETIRING, KeyState.DESTROYED):
        keys.change(Operation("move", kid), moving(kid, state))
    (trouble,) = condition.troubles()
    path = config.keys.store.parent / "faceverifyd.yaml"
    main(["doctor", "--only", "key_store", "--json", "--config", str(path)])
    (row,) = json.loads(capsys.readouterr().out)
    assert trouble == Trouble("no_key_opens", row["seen"], row["remedy"])


def test_a_device_that_stops_is_not_ready(condition: Condition) -> None:
    condition.turnstile.close()
    assert condition.reasons() == ["stopping"]


@pytest.mark.parametrize(
    ("warning", "check", "sealed"),
    [(LEGACY_WARNING, "legacy_format", True), (PUBLISHED_WARNING, "published_key", True)],
)
def test_a_weakness_has_doctors_remedy(
    condition: Condition, config: Config, capsys: pytest.CaptureFixture[str], warning: str, check: str, sealed: bool
) -> None:
    assert config.sealed.legacy is sealed
    (weakness,) = dataclasses.replace(condition, warnings=lambda: (warning,)).weaknesses()
    main(["doctor", "--only", check, "--json", "--config", str(config.keys.store.parent / "faceverifyd.yaml")])
    # Doctor knows which key it is.
    assert json.loads(capsys.readouterr().out)[0]["remedy"].startswith(weakness.remedy.removesuffix("KID"))


def test_a_weakness_that_has_no_words_here_is_told_as_it_is(condition: Condition) -> None:
    (weakness,) = dataclasses.replace(condition, warnings=lambda: ("a new one",)).weaknesses()
    assert (weakness.seen, weakness.remedy) == ("a new one", "fvctl doctor")


def test_the_devices_certificate_is_named_where_it_ends(condition: Condition) -> None:
    (weakness,) = dataclasses.replace(condition, warnings=lambda: (EXPIRES_SOON,)).weaknesses()
    assert "server-certificate" in weakness.remedy


def test_what_ends_first_comes_first_and_what_never_ends_last(config: Config, condition: Condition) -> None:
    keys, _ = key_store(config)
    key = make_key(KeyKind.X25519)
    soon = date.today() + timedelta(days=1)
    keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, soon))
    endings = condition.endings()
    assert endings[0] == Ending("key", key.kid, "active", soon)
    assert endings[1] == Ending("certificate", "of till-1", "known", (NOW + timedelta(days=3)).date())
    assert (endings[2].name, endings[2].state) == (DEVICE, "served")
    assert endings[2].ends is not None
    assert endings[2].ends > datetime.now(timezone.utc).date() + timedelta(days=30)
    assert {ending.ends for ending in endings[3:]} == {None}
    assert today_utc() < soon + timedelta(days=1)
