"""What may be done to a key, and what it makes of the store's records; the store itself is `tools.key_store`'s."""

from __future__ import annotations

import dataclasses
from datetime import date

import pydantic

from daemon.errors import KeyRefused
from daemon.sealed.kek import Kek
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey
from daemon.sealed.keystore import KeyRecord, OpenedStore, open_record, seal_record
from tools.key_store import Change, now_utc

_BEFORE: dict[KeyState, tuple[KeyState, ...]] = {
    KeyState.ACTIVE: (KeyState.STAGED, KeyState.RETIRING),
    KeyState.RETIRING: (KeyState.ACTIVE,),
    KeyState.DESTROYED: (KeyState.STAGED, KeyState.RETIRING),
}
"""Which states a key may come from; retiring to active takes a mistake back."""

_BOUND = {KeyKind.DIRECT: True, KeyKind.LEGACY: False}
"""Kinds that belong to a terminal, and kinds that never do; the others may."""


def new_record(kek: Kek, key: OpeningKey, state: KeyState, expires: date | None = None) -> KeyRecord:
    """A record for a key that is new in the store.

    Raises:
        KeyRefused: its id, or its terminal's name, is not as they must be.
    """
    now = now_utc()
    try:
        record = KeyRecord(
            kid=key.kid,
            kind=key.kind,
            state=state,
            terminal=key.terminal,
            created_utc=now,
            changed_utc=now,
            expires=expires,
            sealed=None,
        )
    except pydantic.ValidationError as error:
        names = {str(fault["loc"][0]) for fault in error.errors()}
        raise KeyRefused(
            f"not allowed for a key: {', '.join(sorted(names))}",
            "Up to 64 letters, digits, dots, dashes and underscores, in a terminal's name also spaces.",
        ) from None
    return seal_record(kek, record, key)


def adding(key: OpeningKey, state: KeyState, expires: date | None) -> Change:
    """Add a key.

    Raises (when the change is made):
        KeyRefused: its id is taken or not allowed, or it belongs to a terminal and should not, or the other way round.
    """

    def change(store: OpenedStore) -> tuple[KeyRecord, ...]:
        """See Change."""
        if any(record.kid == key.kid for record in store.file.keys):
            raise KeyRefused(f"there is a key {key.kid} already", "Give it another kid, or use the one that is there.")
        if _BOUND.get(key.kind, key.terminal is not None) is not (key.terminal is not None):
            needed = "needs" if key.terminal is None else "takes no"
            raise KeyRefused(f"a key of kind {key.kind.value} {needed} terminal", "See: fvctl keys add --help")
        return (*store.file.keys, new_record(store.kek, key, state, expires))

    return change


def moving(kid: str, state: KeyState, even_active: bool = False) -> Change:
    """Bring a key into another state; destroying takes its secret out of the store.

    Args:
        kid: the key.
        state: where it goes.
        even_active: destroy a key that is active.

    Raises (when the change is made):
        KeyRefused: there is no such key, or it cannot go there from where it is.
    """

    def change(store: OpenedStore) -> tuple[KeyRecord, ...]:
        """See Change."""
        record = store.record(kid)
        allowed = _BEFORE[state] + ((KeyState.ACTIVE,) if even_active else ())
        if record.state not in allowed:
            raise KeyRefused(f"key {kid} is {record.state.value}", _remedy(record.state, state))
        moved = dataclasses.replace(record, state=state, changed_utc=now_utc(), sealed=None)
        if state is not KeyState.DESTROYED:
            moved = seal_record(store.kek, moved, open_record(store.kek, record))
        return tuple(moved if known is record else known for known in store.file.keys)

    return change


def _remedy(seen: KeyState, wanted: KeyState) -> str:
    if wanted is KeyState.DESTROYED and seen is KeyState.ACTIVE:
        return "Retire it first and wait until no terminal uses it; if it is compromised, add --compromised."
    return f"Only a key that is {' or '.join(state.value for state in _BEFORE[wanted])} can become {wanted.value}."


def resealing(kek: Kek) -> Change:
    """Seal every record under another KEK."""

    def change(store: OpenedStore) -> tuple[KeyRecord, ...]:
        """See Change."""
        return tuple(
            record if record.sealed is None else seal_record(kek, record, open_record(store.kek, record))
            for record in store.file.keys
        )

    return change
