"""Key stores made for a test, under a key-encryption key in memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from daemon.sealed.kek import AesKek, Kek
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey
from daemon.sealed.keystore import STORE_FILE
from tools.key_changes import new_record
from tools.key_making import make_key
from tools.key_store import KeyStore

TERMINAL = "till 1"

QUICK_KINDS = (KeyKind.X25519, KeyKind.P256, KeyKind.DIRECT, KeyKind.LEGACY, KeyKind.ENROLMENT)
"""Kinds of which a key is made in no time; RSA takes seconds."""


def new_kek() -> AesKek:
    """A key-encryption key that nobody else has."""
    return AesKek(os.urandom(32))


def key_of(kind: KeyKind) -> OpeningKey:
    """A new key, of a terminal where its kind wants one."""
    return make_key(kind, TERMINAL if kind is KeyKind.DIRECT else None)


def make_store(folder: Path, kek: Kek, *keys: tuple[OpeningKey, KeyState]) -> KeyStore:
    """A store that holds these keys in these states."""
    store = KeyStore(folder, lambda: (kek,))
    store.create(tuple(new_record(kek, key, state) for key, state in keys), kek)
    return store


def document_of(folder: Path) -> dict[str, Any]:
    """The store's file as plain JSON."""
    document = json.loads((folder / STORE_FILE).read_text())
    assert isinstance(document, dict)
    return document


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Put other JSON in its place."""
    (folder / STORE_FILE).write_text(json.dumps(document))
