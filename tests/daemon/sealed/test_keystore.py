"""What the store says is what was written: whatever is changed in its file, nothing of it opens."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.api.registry import NAME_PATTERN
from daemon.errors import KeyRefused
from daemon.sealed.kek import AesKek
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey, secret_bytes
from daemon.sealed.keystore import (
    STORE_FILE,
    TERMINAL_PATTERN,
    KeyRecord,
    open_record,
    open_store,
    seal_file,
    seal_record,
)
from tests.key_stores import QUICK_KINDS, TERMINAL, document_of, key_of, make_store, new_kek, write_document
from tools.key_changes import adding, moving, new_record
from tools.key_store import Operation

Document = dict[str, Any]

_KEY = bytes(range(32))
KEK = AesKek(_KEY)
FIRST, SECOND = key_of(KeyKind.X25519), key_of(KeyKind.DIRECT)
EXPIRES = date(2030, 1, 31)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of two keys; the second one is retiring and expires."""
    folder = tmp_path / "keys"
    store = make_store(folder, KEK, (FIRST, KeyState.ACTIVE))
    store.change(Operation("add", SECOND.kid), adding(SECOND, KeyState.ACTIVE, EXPIRES))
    store.change(Operation("retire", SECOND.kid), moving(SECOND.kid, KeyState.RETIRING))
    return folder


def test_every_kind_comes_back_from_the_file(tmp_path: Path) -> None:
    keys = [key_of(kind) for kind in QUICK_KINDS]
    make_store(tmp_path, KEK, *((key, KeyState.ACTIVE) for key in keys))
    held = open_store(tmp_path, (KEK,)).opened([KeyState.ACTIVE])
    assert [(key.kid, key.kind, key.terminal) for _, key in held] == [(key.kid, key.kind, key.terminal) for key in keys]
    assert [secret_bytes(key.secret) for _, key in held] == [secret_bytes(key.secret) for key in keys]


def test_another_reader_opens_the_file_by_its_description(folder: Path) -> None:
    document = document_of(folder)
    record = document["keys"][1]
    metadata = {name: value for name, value in record.items() if name != "sealed"}
    associated = b"faceverifyd key record 1\n" + json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
    sealed = base64.b64decode(record["sealed"], validate=True)
    assert AESGCM(_KEY).decrypt(sealed[:12], sealed[12:], associated) == SECOND.secret

    seal = base64.b64decode(document.pop("seal"), validate=True)
    bound = b"faceverifyd key store 1\n" + json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert AESGCM(_KEY).decrypt(seal[:12], seal[12:], bound) == b""


def test_the_right_one_of_several_key_encryption_keys_is_found(folder: Path) -> None:
    assert open_store(folder, (new_kek(), KEK)).kek is KEK


def test_another_key_encryption_key_opens_nothing(folder: Path) -> None:
    with pytest.raises(KeyRefused, match="another key-encryption key") as refused:
        open_store(folder, (new_kek(), new_kek()))
    assert "one backup" in refused.value.remedy


def _refused(folder: Path) -> None:
    with pytest.raises(KeyRefused, match=r"was changed|not as it was written"):
        open_store(folder, (KEK,))


_CHANGED_RECORD: dict[str, object] = {
    "kid": "another",
    "kind": "enrolment",
    "state": "active",
    "terminal": "till 2",
    "created_utc": "2020-01-01T00:00:00+00:00",
    "changed_utc": "2020-01-01T00:00:00+00:00",
    "expires": "2031-01-31",
    "sealed": base64.b64encode(bytes(60)).decode(),
}


def test_every_field_of_a_record_is_tried_below() -> None:
    assert set(_CHANGED_RECORD) == {field.name for field in dataclasses.fields(KeyRecord)}


@pytest.mark.parametrize("field", _CHANGED_RECORD)
def test_a_changed_field_of_a_record_is_refused(folder: Path, field: str) -> None:
    document = document_of(folder)
    assert document["keys"][1][field] != _CHANGED_RECORD[field]
    document["keys"][1][field] = _CHANGED_RECORD[field]
    write_document(folder, document)
    _refused(folder)


def _changed(record: KeyRecord, field: str) -> KeyRecord:
    value: Any = _CHANGED_RECORD[field]
    kinds: dict[str, Callable[[Any], Any]] = {"kind": KeyKind, "state": KeyState, "expires": date.fromisoformat}
    changed: dict[str, Any] = {field: kinds.get(field, str)(value)}
    return dataclasses.replace(record, **changed)


@pytest.mark.parametrize("field", _CHANGED_RECORD)
def test_a_record_s_own_seal_covers_every_field(folder: Path, field: str) -> None:
    record = open_store(folder, (KEK,)).record(SECOND.kid)
    with pytest.raises(KeyRefused, match="was changed"):
        open_record(KEK, _changed(record, field))


@pytest.mark.parametrize("field", ["terminal", "expires"])
def test_a_limit_of_a_key_cannot_be_taken_away(folder: Path, field: str) -> None:
    document = document_of(folder)
    document["keys"][1][field] = None
    write_document(folder, document)
    _refused(folder)


def _removed(document: Document, _before: Document) -> None:
    del document["keys"][0]


def _duplicated(document: Document, _before: Document) -> None:
    document["keys"].append(document["keys"][0])


def _reordered(document: Document, _before: Document) -> None:
    document["keys"].reverse()


def _brought_back(document: Document, before: Document) -> None:
    document["keys"][1] = before["keys"][1]


def _emptied(document: Document, _before: Document) -> None:
    document["keys"] = []


def _swapped(document: Document, _before: Document) -> None:
    first, second = document["keys"]
    first["sealed"], second["sealed"] = second["sealed"], first["sealed"]


def _with_the_seal_of_before(document: Document, before: Document) -> None:
    document["seal"] = before["seal"]


def _with_the_seal_of_a_record(document: Document, _before: Document) -> None:
    document["seal"] = document["keys"][0]["sealed"]


def _without_seal(document: Document, _before: Document) -> None:
    document["seal"] = ""


def _later(document: Document, _before: Document) -> None:
    document["generation"] += 1


def _log_made_shorter(document: Document, _before: Document) -> None:
    document["audit_length"] -= 1


def _log_exchanged(document: Document, before: Document) -> None:
    document["audit_head"] = before["audit_head"]


@pytest.mark.parametrize(
    "harm",
    [
        _removed,
        _duplicated,
        _reordered,
        _brought_back,
        _emptied,
        _swapped,
        _with_the_seal_of_before,
        _with_the_seal_of_a_record,
        _without_seal,
        _later,
        _log_made_shorter,
        _log_exchanged,
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, harm: Callable[[Document, Document], None]) -> None:
    store = make_store(tmp_path, KEK, (FIRST, KeyState.ACTIVE), (SECOND, KeyState.ACTIVE))
    before = document_of(tmp_path)
    store.change(Operation("retire", SECOND.kid), moving(SECOND.kid, KeyState.RETIRING))
    document = document_of(tmp_path)
    harm(document, before)
    write_document(tmp_path, document)
    _refused(tmp_path)


def test_the_seal_of_the_file_is_no_record(folder: Path) -> None:
    store = open_store(folder, (KEK,))
    with pytest.raises(KeyRefused, match="was changed"):
        open_record(KEK, dataclasses.replace(store.record(FIRST.kid), sealed=store.file.seal))


def test_a_record_of_another_store_under_the_same_key_is_refused_in_its_place(folder: Path, tmp_path: Path) -> None:
    make_store(tmp_path / "other", KEK, (SECOND, KeyState.RETIRING))
    document = document_of(folder)
    document["keys"][1] = document_of(tmp_path / "other")["keys"][0]
    write_document(folder, document)
    _refused(folder)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_is_refused(folder: Path, share: float) -> None:
    path = folder / STORE_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    _refused(folder)


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"version": 2}', b"{'version': 1}", b"version: 1"],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_what_is_no_store_is_refused(folder: Path, content: bytes) -> None:
    (folder / STORE_FILE).write_bytes(content)
    _refused(folder)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("generation", "1"),
        ("generation", 1.5),
        ("version", 2),
        ("audit_head", "A" * 64),
        ("unknown", 1),
        ("keys", {}),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_and_named(folder: Path, where: str, value: object) -> None:
    write_document(folder, document_of(folder) | {where: value})
    with pytest.raises(KeyRefused, match=f"not as it was written: {where}"):
        open_store(folder, (KEK,))


def test_a_refusal_says_nothing_of_what_the_file_holds(folder: Path) -> None:
    document = document_of(folder)
    document["keys"][0]["state"] = document["keys"][0]["sealed"]
    write_document(folder, document)
    with pytest.raises(KeyRefused) as refused:
        open_store(folder, (KEK,))
    assert "keys.0.state" in str(refused.value)
    assert document["keys"][0]["sealed"][:20] not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o602])
def test_a_file_that_others_may_use_is_refused(folder: Path, mode: int) -> None:
    (folder / STORE_FILE).chmod(mode)
    with pytest.raises(KeyRefused, match=f"mode {mode:04o}") as refused:
        open_store(folder, (KEK,))
    assert refused.value.remedy == f"chmod 600 {folder / STORE_FILE}"


def test_a_missing_file_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="there is no key store") as refused:
        open_store(tmp_path, (KEK,))
    assert refused.value.remedy == "Run: fvctl keys init"


def test_the_limit_of_a_kid_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(KeyRefused, match="no key absent"):
        open_store(folder, (KEK,)).record("absent")


def test_only_the_states_and_kinds_that_are_asked_for_are_opened(folder: Path) -> None:
    store = open_store(folder, (KEK,))
    assert [key.kid for _, key in store.opened([KeyState.RETIRING])] == [SECOND.kid]
    assert [key.kid for _, key in store.opened(KeyState, [KeyKind.X25519])] == [FIRST.kid]


def test_a_destroyed_key_does_not_open(folder: Path) -> None:
    record = dataclasses.replace(open_store(folder, (KEK,)).record(FIRST.kid), sealed=None)
    with pytest.raises(KeyRefused, match="is destroyed"):
        open_record(KEK, record)


@pytest.mark.parametrize("kid", ["", ".a", "a b", "a/b", "a\n", "ä", "a" * 65])
def test_an_id_that_would_have_to_be_quoted_is_refused(kid: str) -> None:
    with pytest.raises(KeyRefused, match="not allowed for a key: kid"):
        new_record(KEK, dataclasses.replace(FIRST, kid=kid), KeyState.ACTIVE)


@pytest.mark.parametrize("terminal", ["", " till", "till\x7f", "till\n", "till\udc80", "t" * 65])
def test_a_terminal_that_cannot_be_in_the_registry_is_refused(terminal: str) -> None:
    with pytest.raises(KeyRefused, match="not allowed for a key: terminal"):
        new_record(KEK, OpeningKey("kid", KeyKind.DIRECT, terminal, bytes(32)), KeyState.ACTIVE)


def test_terminals_are_called_as_in_the_registry() -> None:
    assert TERMINAL_PATTERN == NAME_PATTERN


def test_a_record_does_not_show_what_is_sealed() -> None:
    record = new_record(KEK, SECOND, KeyState.ACTIVE)
    assert record.sealed is not None
    assert record.sealed not in repr(record)
    assert TERMINAL in repr(record)


def test_two_seals_of_the_same_have_nothing_in_common(folder: Path) -> None:
    store = open_store(folder, (KEK,))
    record = store.record(FIRST.kid)
    again = seal_record(KEK, record, FIRST)
    assert again.sealed is not None
    assert record.sealed is not None
    assert again.sealed[:16] != record.sealed[:16]
    assert seal_file(KEK, store.file).seal[:16] != store.file.seal[:16]


def test_the_folder_s_other_files_do_not_matter(folder: Path) -> None:
    (folder / f"{STORE_FILE}.making").write_bytes(os.urandom(100))
    assert open_store(folder, (KEK,)).record(FIRST.kid).state is KeyState.ACTIVE
