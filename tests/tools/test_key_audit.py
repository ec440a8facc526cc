"""The log of changes: whatever is done to it, the store under its seal tells."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import KeyRefused
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE
from tests.key_stores import key_of, make_store, new_kek
from tools.key_audit import ABANDONED, AUDIT_FILE, BEGINNING, Entry, append, read_entries
from tools.key_changes import adding, moving
from tools.key_store import KeyStore, Operation

_OPERATIONS = ["init", "add", "activate", "retire", "destroy"]


KEK = new_kek()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store with five entries in its log."""
    store = make_store(tmp_path_factory.mktemp("made") / "keys", KEK, (key_of(KeyKind.X25519), KeyState.ACTIVE))
    key = key_of(KeyKind.X25519)
    store.change(Operation("add", key.kid), adding(key, KeyState.STAGED, None))
    for name, state in (
        ("activate", KeyState.ACTIVE),
        ("retire", KeyState.RETIRING),
        ("destroy", KeyState.DESTROYED),
    ):
        store.change(Operation(name, key.kid), moving(key.kid, state))
    return store.folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> KeyStore:
    """A copy of it to harm."""
    return KeyStore(shutil.copytree(made, tmp_path / "keys"), lambda: (KEK,))


def _log(store: KeyStore) -> Path:
    return store.folder / AUDIT_FILE


def _lines(store: KeyStore) -> list[bytes]:
    return _log(store).read_bytes().splitlines(keepends=True)


def test_every_change_is_one_entry_that_says_what_to_what_and_by_whom(store: KeyStore) -> None:
    entries, interrupted = store.audit()
    assert interrupted == []
    assert [entry.operation for entry in entries] == _OPERATIONS
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.kid for entry in entries] == ["", *[store.opened().file.keys[1].kid] * 4]
    assert all(entry.actor.startswith("uid ") for entry in entries)


def test_the_chain_is_sha_256_over_canonical_json(store: KeyStore) -> None:
    previous = "0" * 64
    for line in _lines(store):
        entry = json.loads(line)
        named = entry.pop("hash")
        assert entry["previous"] == previous
        assert named == hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        previous = named
    assert store.opened().file.audit_head == previous


def test_the_log_holds_no_secret(store: KeyStore) -> None:
    sealed = [record.sealed for record in store.opened().file.keys if record.sealed]
    assert sealed
    assert not any(text[:24].encode() in _log(store).read_bytes() for text in sealed)


def _rewritten(entries: list[Entry]) -> bytes:
    """A chain made anew, every hash right."""
    previous, lines = BEGINNING, []
    for number, entry in enumerate(entries, 1):
        made = dataclasses.replace(entry, number=number, previous=previous).hashed()
        lines.append(json.dumps(dataclasses.asdict(made)).encode() + b"\n")
        previous = made.hash
    return b"".join(lines)


def _noticed(store: KeyStore) -> None:
    with pytest.raises(KeyRefused, match=r"is not what was written|of another log") as refused:
        store.audit()
    assert "Keep a copy of the log" in refused.value.remedy
    with pytest.raises(KeyRefused):
        store.change(Operation("add"), lambda before: before.file.keys)


@pytest.mark.parametrize("place", range(len(_OPERATIONS)))
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Entry)])
def test_a_changed_line_is_noticed(store: KeyStore, place: int, field: str) -> None:
    lines = _lines(store)
    entry = json.loads(lines[place])
    entry[field] = entry[field] + 1 if field == "number" else "0" * 63 + "1"
    lines[place] = json.dumps(entry).encode() + b"\n"
    _log(store).write_bytes(b"".join(lines))
    _noticed(store)


@pytest.mark.parametrize("place", range(len(_OPERATIONS)))
def test_a_removed_line_is_noticed(store: KeyStore, place: int) -> None:
    lines = _lines(store)
    del lines[place]
    _log(store).write_bytes(b"".join(lines))
    _noticed(store)


@pytest.mark.parametrize("place", range(len(_OPERATIONS)))
def test_a_line_put_in_is_noticed(store: KeyStore, place: int) -> None:
    lines = _lines(store)
    lines.insert(place, lines[place])
    _log(store).write_bytes(b"".join(lines))
    _noticed(store)


@pytest.mark.parametrize("place", range(len(_OPERATIONS)))
def test_a_log_cut_short_is_noticed(store: KeyStore, place: int) -> None:
    _log(store).write_bytes(b"".join(_lines(store)[:place]))
    _noticed(store)


def test_a_missing_log_is_noticed(store: KeyStore) -> None:
    _log(store).unlink()
    _noticed(store)


def test_a_chain_made_anew_with_one_word_changed_is_noticed(store: KeyStore) -> None:
    entries = read_entries(_log(store))
    entries[2] = dataclasses.replace(entries[2], actor="uid 4711")
    _log(store).write_bytes(_rewritten(entries))
    assert len(read_entries(_log(store))) == len(entries), "the chain itself is right"
    _noticed(store)


def test_a_chain_made_anew_and_longer_is_noticed(store: KeyStore) -> None:
    entries = read_entries(_log(store))
    _log(store).write_bytes(_rewritten([entries[0], *entries]))
    _noticed(store)


def test_the_log_of_another_store_is_noticed(store: KeyStore, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", new_kek(), (key_of(KeyKind.X25519), KeyState.ACTIVE))
    _log(store).write_bytes(_log(other).read_bytes())
    _noticed(store)


@pytest.mark.parametrize(
    "spell",
    [
        lambda line: line.replace(b'": ', b'":'),
        lambda line: line[:-1] + b" \n",
        lambda line: line[:-1] + b"\r\n",
        lambda line: b" " + line,
        lambda line: line.replace(b'"number": 1', b'"number": 1.0'),
        lambda line: line.replace(b'"init"', b'"in\\u0069t"'),
        lambda _line: b"[" * 100_000 + b"\n",
        lambda _line: b"\n",
        lambda _line: b"null\n",
        lambda _line: b"\xff\n",
    ],
)
def test_a_line_spelt_otherwise_is_noticed(store: KeyStore, spell: Callable[[bytes], bytes]) -> None:
    first, *rest = _lines(store)
    assert spell(first) != first
    _log(store).write_bytes(b"".join([spell(first), *rest]))
    _noticed(store)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_what_a_power_cut_left_of_a_last_line_does_not_count_and_is_repaired(store: KeyStore, share: float) -> None:
    whole, line = _log(store).read_bytes(), _lines(store)[-1]
    with _log(store).open("ab") as log:
        log.write(line[: int(len(line) * share)])
    assert store.audit()[1] == []
    store.change(Operation("add"), lambda before: before.file.keys)
    entries, interrupted = store.audit()
    assert [entry.operation for entry in entries] == [*_OPERATIONS, "add"]
    assert interrupted == []
    assert _log(store).read_bytes().startswith(whole)


def test_an_operation_that_was_interrupted_is_shown_and_noted_at_the_next(store: KeyStore) -> None:
    append(_log(store), read_entries(_log(store)), [Operation("retire", "kid").entry()])
    entries, interrupted = store.audit()
    assert [entry.operation for entry in interrupted] == ["retire"]
    store.change(Operation("retire", "kid"), lambda before: before.file.keys)
    entries, interrupted = store.audit()
    assert [entry.operation for entry in entries][-3:] == ["retire", ABANDONED, "retire"]
    assert interrupted == []


def test_a_store_put_back_to_an_earlier_day_is_noticed(store: KeyStore) -> None:
    earlier = (store.folder / STORE_FILE).read_bytes()
    store.change(Operation("add"), lambda before: before.file.keys)
    (store.folder / STORE_FILE).write_bytes(earlier)
    assert [entry.operation for entry in store.audit()[1]] == ["add"]


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, target = tmp_path / "keys", tmp_path / "elsewhere"
    folder.mkdir()
    (folder / AUDIT_FILE).symlink_to(target)
    with pytest.raises(KeyRefused, match="symbolic links"):
        make_store(folder, new_kek())
    assert not target.exists()
