"""The store changes in one step, one change at a time, and what is refused leaves everything as it was."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from daemon.errors import KeyRefused
from daemon.sealed.kek import Kek
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE, KeyRecord, OpenedStore
from tests.conftest import need
from tests.key_stores import key_of, make_store, new_kek
from tools.key_audit import AUDIT_FILE
from tools.key_changes import adding, moving, resealing
from tools.key_store import KeyStore, Operation

_DAEMON, _NOBODY = 12345, 65534


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """A store with one active key."""
    return make_store(tmp_path / "keys", new_kek(), (key_of(KeyKind.X25519), KeyState.ACTIVE))


def test_a_new_store_opens(store: KeyStore) -> None:
    opened = store.opened()
    assert (opened.file.generation, opened.file.audit_length, len(opened.file.keys)) == (1, 1, 1)


def test_files_and_folder_are_their_owner_s_alone(store: KeyStore) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()}
    assert modes == {STORE_FILE: 0o600, AUDIT_FILE: 0o600, ".lock": 0o600}
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_what_root_writes_belongs_to_the_daemon_s_account(tmp_path: Path) -> None:
    need("a test's right to give files away", os.geteuid() == 0)
    os.chown(tmp_path, _DAEMON, _DAEMON)
    store = make_store(tmp_path / "keys", new_kek())
    store.change(Operation("add"), adding(key_of(KeyKind.X25519), KeyState.ACTIVE, None))
    assert {path.stat().st_uid for path in (store.folder, *store.folder.iterdir())} == {_DAEMON}


def test_a_store_is_not_made_over_another(store: KeyStore) -> None:
    before = _contents(store.folder)
    with pytest.raises(KeyRefused, match="there is a key store already"):
        store.create((), new_kek())
    assert _contents(store.folder) == before


def test_every_change_counts(store: KeyStore) -> None:
    for number in (2, 3, 4):
        opened = store.change(Operation("add"), adding(key_of(KeyKind.P256), KeyState.STAGED, None))
        assert (opened.file.generation, opened.file.audit_length) == (number, number)
        assert store.opened().file == opened.file


def test_a_change_that_is_refused_leaves_everything_as_it_was(store: KeyStore) -> None:
    before = _contents(store.folder)

    def refuse(_store: OpenedStore) -> tuple[KeyRecord, ...]:
        raise KeyRefused("no", "Do not.")

    with pytest.raises(KeyRefused, match="no"):
        store.change(Operation("add"), refuse)
    assert _contents(store.folder) == before


def test_after_a_refusal_the_store_can_be_changed(store: KeyStore) -> None:
    with pytest.raises(KeyRefused):
        store.change(Operation("retire"), moving("absent", KeyState.RETIRING))
    store.change(Operation("add"), adding(key_of(KeyKind.P256), KeyState.STAGED, None))
    assert len(store.opened().file.keys) == 2


def test_changes_at_the_same_time_are_all_kept(store: KeyStore) -> None:
    kek = store.opened().kek

    def add() -> None:
        # A store of its own, as another process has it.
        KeyStore(store.folder, lambda: (kek,)).change(
            Operation("add"), adding(key_of(KeyKind.X25519), KeyState.STAGED, None)
        )

    threads = [threading.Thread(target=add) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.opened().file.keys) == 17
    assert store.audit()[1] == []


def test_whoever_holds_the_lock_can_change_and_others_wait(store: KeyStore) -> None:
    other = KeyStore(store.folder, lambda: (store.opened().kek,))
    waiting = threading.Thread(
        target=lambda: other.change(Operation("add"), adding(key_of(KeyKind.P256), KeyState.STAGED, None))
    )
    with store.locked():
        waiting.start()
        store.change(Operation("add"), adding(key_of(KeyKind.DIRECT), KeyState.STAGED, None))
        waiting.join(0.2)
        assert waiting.is_alive()
        assert [record.kind for record in store.opened().file.keys] == [KeyKind.X25519, KeyKind.DIRECT]
    waiting.join()
    assert [record.kind for record in store.opened().file.keys][-1] is KeyKind.P256


def test_a_store_sealed_anew_opens_with_the_new_key_alone(tmp_path: Path) -> None:
    keks: list[Kek] = [new_kek()]
    old = make_store(
        tmp_path, keks[0], (key_of(KeyKind.X25519), KeyState.ACTIVE), (key_of(KeyKind.P256), KeyState.STAGED)
    )
    before = old.opened()
    following = new_kek()
    store = KeyStore(tmp_path, lambda: (keks[0], following))
    store.change(Operation("rotate-kek"), resealing(following), following)
    assert store.opened().kek is following
    with pytest.raises(KeyRefused, match="another key-encryption key"):
        old.opened()
    assert len(store.opened().opened(KeyState)) == len(before.opened(KeyState)) == 2


@pytest.mark.parametrize("name", [".lock", AUDIT_FILE])
def test_links_in_the_folder_are_not_followed(store: KeyStore, tmp_path: Path, name: str) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes((store.folder / name).read_bytes())
    content = target.read_bytes() or b"somebody else's"
    target.write_bytes(content)
    (store.folder / name).unlink()
    (store.folder / name).symlink_to(target)
    with pytest.raises(KeyRefused, match="symbolic links"):
        store.change(Operation("add"), adding(key_of(KeyKind.P256), KeyState.STAGED, None))
    assert target.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    need("a test's right to be somebody else", os.geteuid() == 0)
    tmp_path.chmod(0o755)
    os.seteuid(_NOBODY)
    try:
        with pytest.raises(KeyRefused, match="cannot be written: Permission denied") as refused:
            make_store(tmp_path / "keys", new_kek())
    finally:
        os.seteuid(0)
    assert refused.value.remedy.startswith("Run fvctl as root")
