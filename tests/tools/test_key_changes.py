"""Which state a key may go to, and that a destroyed one leaves nothing behind."""

from __future__ import annotations

import itertools
import re
from datetime import date
from pathlib import Path

import pytest

from daemon.errors import KeyRefused
from daemon.sealed.kek import AesKek
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey, secret_bytes
from daemon.sealed.keystore import STORE_FILE
from tests.key_stores import QUICK_KINDS, TERMINAL, document_of, key_of, make_store, new_kek
from tools.key_changes import adding, moving, resealing
from tools.key_store import KeyStore, Operation

_ALLOWED = {
    ("staged", "active"),
    ("staged", "destroyed"),
    ("active", "retiring"),
    ("retiring", "active"),
    ("retiring", "destroyed"),
}


def _move(store: KeyStore, kid: str, state: KeyState, even_active: bool = False) -> None:
    store.change(Operation("move", kid), moving(kid, state, even_active))


def _in_state(folder: Path, state: KeyState, kek: AesKek) -> tuple[KeyStore, OpeningKey]:
    key = key_of(KeyKind.X25519)
    first = KeyState.RETIRING if state is KeyState.DESTROYED else state
    store = make_store(folder, kek, (key_of(KeyKind.P256), KeyState.ACTIVE), (key, first))
    if state is KeyState.DESTROYED:
        _move(store, key.kid, state)
    return store, key


@pytest.mark.parametrize(
    ("before", "after"),
    [(one, two) for one, two in itertools.product(KeyState, KeyState) if two is not KeyState.STAGED],
    ids=lambda state: state.value,
)
def test_a_key_goes_where_it_may_and_nowhere_else(tmp_path: Path, before: KeyState, after: KeyState) -> None:
    store, key = _in_state(tmp_path, before, new_kek())
    if (before.value, after.value) in _ALLOWED:
        _move(store, key.kid, after)
        assert store.opened().record(key.kid).state is after
    else:
        with pytest.raises(KeyRefused, match=f"key {key.kid} is {before.value}") as refused:
            _move(store, key.kid, after)
        assert refused.value.remedy
        assert store.opened().record(key.kid).state is before


def test_an_active_key_is_destroyed_only_where_that_is_said(tmp_path: Path) -> None:
    store, key = _in_state(tmp_path, KeyState.ACTIVE, new_kek())
    with pytest.raises(KeyRefused) as refused:
        _move(store, key.kid, KeyState.DESTROYED)
    assert "--compromised" in refused.value.remedy
    _move(store, key.kid, KeyState.DESTROYED, even_active=True)
    assert store.opened().record(key.kid).state is KeyState.DESTROYED


def test_a_key_is_the_same_in_every_state_it_goes_through(tmp_path: Path) -> None:
    store, key = _in_state(tmp_path, KeyState.STAGED, new_kek())
    for state in (KeyState.ACTIVE, KeyState.RETIRING, KeyState.ACTIVE):
        _move(store, key.kid, state)
        held = {opened.kid: opened for _, opened in store.opened().opened([state])}
        assert secret_bytes(held[key.kid].secret) == secret_bytes(key.secret)


@pytest.mark.parametrize("kind", QUICK_KINDS)
def test_nothing_in_the_folder_opens_to_a_destroyed_secret(tmp_path: Path, kind: KeyKind) -> None:
    kek, key = new_kek(), key_of(kind)
    store = make_store(tmp_path, kek, (key, KeyState.RETIRING))
    sealed = document_of(tmp_path)["keys"][0]["sealed"]
    assert sealed in (tmp_path / STORE_FILE).read_text()
    _move(store, key.kid, KeyState.DESTROYED)
    assert document_of(tmp_path)["keys"][0]["sealed"] is None
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert sealed.encode() not in content
        assert secret_bytes(key.secret) not in content
        # What is left that could be a secret: only the seal of the file, which has room for none.
        assert all(len(text) <= 64 for text in re.findall(rb"[A-Za-z0-9+/=]{40,}", content))


def test_a_destroyed_key_stays_destroyed(tmp_path: Path) -> None:
    store, key = _in_state(tmp_path, KeyState.DESTROYED, new_kek())
    with pytest.raises(KeyRefused, match="there is a key"):
        store.change(Operation("add"), adding(key, KeyState.ACTIVE, None))


def test_the_day_a_key_expires_is_kept(tmp_path: Path) -> None:
    store, _ = _in_state(tmp_path, KeyState.ACTIVE, new_kek())
    key = key_of(KeyKind.X25519)
    store.change(Operation("add"), adding(key, KeyState.STAGED, date(2030, 12, 31)))
    _move(store, key.kid, KeyState.ACTIVE)
    assert store.opened().record(key.kid).expires == date(2030, 12, 31)


@pytest.mark.parametrize(
    ("kind", "terminal", "told"),
    [(KeyKind.DIRECT, None, "needs terminal"), (KeyKind.LEGACY, TERMINAL, "takes no terminal")],
)
def test_a_key_belongs_to_a_terminal_where_its_kind_says_so(
    tmp_path: Path, kind: KeyKind, terminal: str | None, told: str
) -> None:
    store = make_store(tmp_path, new_kek())
    key = OpeningKey("kid", kind, terminal, key_of(kind).secret)
    with pytest.raises(KeyRefused, match=told) as refused:
        store.change(Operation("add"), adding(key, KeyState.ACTIVE, None))
    assert refused.value.remedy == "See: fvctl keys add --help"


def test_a_public_key_may_belong_to_one_terminal(tmp_path: Path) -> None:
    store = make_store(tmp_path, new_kek())
    key = OpeningKey("kid", KeyKind.X25519, TERMINAL, key_of(KeyKind.X25519).secret)
    store.change(Operation("add"), adding(key, KeyState.ACTIVE, None))
    assert store.opened().record("kid").terminal == TERMINAL


def test_sealing_anew_leaves_no_record_that_the_old_key_opens(tmp_path: Path) -> None:
    old, new = new_kek(), new_kek()
    keys = [(key_of(kind), KeyState.RETIRING) for kind in QUICK_KINDS]
    store = make_store(tmp_path, old, *keys)
    _move(store, keys[0][0].kid, KeyState.DESTROYED)
    before = {record["sealed"] for record in document_of(tmp_path)["keys"]} - {None}
    store.change(Operation("rotate-kek"), resealing(new), new)
    after = {record["sealed"] for record in document_of(tmp_path)["keys"]} - {None}
    assert len(after) == len(before) == len(keys) - 1
    assert not before & after
    held = KeyStore(tmp_path, lambda: (new,)).opened().opened([KeyState.RETIRING])
    assert [secret_bytes(key.secret) for _, key in held] == [secret_bytes(key.secret) for key, _ in keys[1:]]
