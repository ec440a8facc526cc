"""What JOSE libraries of other makers seal, with every algorithm that the format has, opens in the real daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.api.credentials import ANYONE
from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey, public_jwk
from tests.conftest import Site
from tests.end_to_end import terminal_programs as programs
from tests.end_to_end.conftest import Start
from tests.end_to_end.terminal_programs import Program, said
from tests.running_daemon import RunningDaemon
from tools.demonstration import ensure_keys
from tools.key_changes import adding
from tools.key_making import as_jwk, make_key
from tools.key_store import Operation
from tools.keys import key_store

_KINDS = (KeyKind.X25519, KeyKind.P256, KeyKind.RSA, KeyKind.DIRECT)
_SEALERS = (programs.java_jwe, programs.node_jwe, programs.python_jwe)
_EACH = pytest.mark.parametrize("kind", _KINDS, ids=[kind.value for kind in _KINDS])
_BY_EACH = pytest.mark.parametrize("sealer", _SEALERS, ids=[sealer.__name__ for sealer in _SEALERS])


@pytest.fixture(scope="module")
def keys() -> dict[KeyKind, OpeningKey]:
    """A new key of each kind; the symmetric one is for callers that are not authenticated."""
    return {kind: make_key(kind, ANYONE.name if kind is KeyKind.DIRECT else None) for kind in _KINDS}


@pytest.fixture(scope="module")
def with_all_keys(
    site: Site, start: Start, keys: dict[KeyKind, OpeningKey], tmp_path_factory: pytest.TempPathFactory
) -> RunningDaemon:
    """A daemon whose key store has them, and that takes a sealed photo once and soon only."""
    folder = tmp_path_factory.mktemp("store")
    settings = {"store": str(folder / "keys"), "file": str(folder / "kek")}
    config = load_config(site.write("foreign-keys.yaml", keys=settings))
    ensure_keys(config)
    store, _ = key_store(config)
    for key in keys.values():
        store.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, None))
    fresh = {"max_age_s": 600.0, "clock_skew_s": 60.0, "remembered": 1000}
    running = start("foreign", keys=settings, sealed={"freshness": fresh})
    # iat has whole seconds: what is sealed in the second of the start counts as sealed before it.
    time.sleep(1)
    return running


def _given(key: OpeningKey) -> dict[str, str]:
    """What a terminal is given of a key."""
    return public_jwk(key.kid, key.kind, key.secret) or as_jwk(key)


@_BY_EACH
@_EACH
def test_what_a_foreign_library_seals_is_compared(
    with_all_keys: RunningDaemon,
    keys: dict[KeyKind, OpeningKey],
    small: dict[str, bytes],
    tmp_path: Path,
    sealer: Callable[[], Program],
    kind: KeyKind,
) -> None:
    for name in ("obama", "obama2"):
        (tmp_path / name).write_bytes(small[name])
    (tmp_path / "jwk.json").write_text(json.dumps(_given(keys[kind])))
    photos = (str(tmp_path / "obama"), str(tmp_path / "obama2"))
    answer = json.loads(said(*sealer(), with_all_keys.url, *photos, str(tmp_path / "jwk.json")))
    assert answer["code"] == 1000
    assert answer["verification_score"] > 0.7


@_BY_EACH
def test_sealed_to_a_key_of_another_device_is_refused(
    with_all_keys: RunningDaemon, small: dict[str, bytes], tmp_path: Path, sealer: Callable[[], Program]
) -> None:
    (tmp_path / "photo").write_bytes(small["obama"])
    (tmp_path / "jwk.json").write_text(json.dumps(_given(make_key(KeyKind.X25519))))
    photo = str(tmp_path / "photo")
    answer = json.loads(said(*sealer(), with_all_keys.url, photo, photo, str(tmp_path / "jwk.json")))
    assert (answer["code"], answer["message"]) == (1200, "invalid argument")
