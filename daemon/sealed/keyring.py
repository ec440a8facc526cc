"""The keys that open photos now, taken from the store: what step 1 holds, and what terminals may fetch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

from daemon.config import Config, Sealed
from daemon.errors import KeyRefused
from daemon.sealed.kek import load_keks
from daemon.sealed.keys import OPENING_STATES, PUBLISHED_KINDS, KeyKind, KeyState, OpeningKey, jwk_set, public_jwk
from daemon.sealed.keystore import KeyRecord, OpenedStore, open_current
from daemon.sealed.legacy import LegacyFormat, LegacyKey

Today = Callable[[], date]
"""The date in UTC."""

LEGACY_WARNING = "legacy format in use: its fixed IV protects photos weakly"
PUBLISHED_WARNING = "published default key in use: anyone who can read the network can open the photos"

_JWE_KINDS = (*PUBLISHED_KINDS, KeyKind.DIRECT)
_RING_KINDS = (*_JWE_KINDS, KeyKind.LEGACY)
"""Kinds that open photos; the secrets of the others have no business in the daemon."""


class KeyRing:
    """All keys in a state that opens, as of one reading of the store.

    Args:
        held: records and keys, in the store's order.
        today: a key opens up to and including the day it expires.
    """

    def __init__(self, held: list[tuple[KeyRecord, OpeningKey]], today: Today) -> None:
        self._held = held
        self._today = today

    def records(self) -> list[KeyRecord]:
        """The records of all keys held, those that have expired included; their secrets are sealed."""
        return [record for record, _ in self._held]

    def opening(self) -> dict[str, OpeningKey]:
        """The keys that open now, by key id."""
        return {key.kid: key for record, key in self._held if self._lives(record)}

    def legacy(self) -> LegacyFormat:
        """The legacy format with every key of its kind that opens now; those that are active come first."""
        keys = sorted(
            ((record, key) for record, key in self._held if key.kind is KeyKind.LEGACY and self._lives(record)),
            key=lambda pair: pair[0].state is not KeyState.ACTIVE,
        )
        return LegacyFormat(*(LegacyKey.of(bytes(key.secret)) for _, key in keys if isinstance(key.secret, bytes)))

    def jwks(self) -> dict[str, Any]:
        """The public halves of all active keys as a JWK set, the newest first."""
        active = [
            public_jwk(key.kid, key.kind, key.secret)
            for record, key in reversed(self._held)
            if record.state is KeyState.ACTIVE and key.kind in PUBLISHED_KINDS and self._lives(record)
        ]
        return jwk_set([jwk for jwk in active if jwk])

    def require(self, settings: Sealed) -> None:
        """Nothing where each format that is turned on has a key that opens it now.

        Raises:
            KeyRefused: one has none.
        """
        if settings.jwe:
            self.require_jwe()
        if settings.legacy:
            self.require_legacy()

    def require_jwe(self) -> None:
        """Nothing where a key opens the JWE format now.

        Raises:
            KeyRefused: none does.
        """
        if not self._opens(_JWE_KINDS):
            raise KeyRefused("sealed.jwe is on, and no key opens it", "Run: fvctl keys add --activate")

    def require_legacy(self) -> None:
        """Nothing where a key opens the legacy format now.

        Raises:
            KeyRefused: none does.
        """
        if not self._opens((KeyKind.LEGACY,)):
            raise KeyRefused(
                "sealed.legacy is on, and no key opens it",
                "Run: fvctl keys add --kind legacy --activate; or turn it off.",
            )

    def warnings(self, settings: Sealed) -> tuple[str, ...]:
        """What a technician should know of the formats in use, for doctor, the log and a metric."""
        if not settings.legacy:
            return ()
        return (LEGACY_WARNING, PUBLISHED_WARNING) if self.legacy().published else (LEGACY_WARNING,)

    def _opens(self, kinds: Collection[KeyKind]) -> bool:
        return any(key.kind in kinds and self._lives(record) for record, key in self._held)

    def _lives(self, record: KeyRecord) -> bool:
        return record.expires is None or self._today() <= record.expires


def load_ring(config: Config, today: Today, environment: Mapping[str, str] = os.environ) -> KeyRing:
    """The ring of the configured store.

    Raises:
        KeyRefused: the KEK or the store is refused, or see `ring_of`.
    """
    store = open_current(config.keys.store, lambda: load_keks(config.keys, environment))
    return ring_of(store, config.sealed, today)


def ring_of(store: OpenedStore, settings: Sealed, today: Today) -> KeyRing:
    """The ring of a store; whether it has keys that open is for `KeyRing.require`, since that changes by the day.

    Raises:
        KeyRefused: a record does not open, or the published key is in use without being allowed.
    """
    ring = KeyRing(store.opened(OPENING_STATES, _RING_KINDS), today)
    if settings.legacy and ring.legacy().published and not settings.allow_published_key:
        raise KeyRefused(
            "the legacy key or IV is the one that the vendor's manual prints: anyone can open the photos",
            "Give the installation its own key: fvctl keys add --kind legacy --activate, and destroy the published "
            "one; only for trying things out set sealed.allow_published_key: true.",
        )
    return ring
