"""Step 1: opens a sealed photo of any format that is turned on, with the keys that open now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from daemon.config import Sealed
from daemon.errors import SealedPhotoRefused
from daemon.records import Sender
from daemon.sealed.buffers import PlainPhoto
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import OpeningKey

_JWE_MARK = "."
"""Stands in every JWE and in no base64. Source: RFC 7516, section 3.1; RFC 4648, section 4."""


class Jwe(Protocol):
    """The JWE format; `daemon.sealed.jwe` has the real one."""

    def open(self, text: str, keys: Mapping[str, OpeningKey], sender: str) -> bytearray:
        """The photo's bytes in a buffer the caller wipes; SealedPhotoRefused whatever is wrong."""


class Opener:
    """Step 1 of the pipeline.

    Attributes:
        remembers: whether it depends on the photos before whether one opens.

    Args:
        settings: which formats open.
        jwe: the JWE format.
        ring: gives the keys as they are now.
    """

    remembers = False

    def __init__(self, settings: Sealed, jwe: Jwe, ring: Callable[[], KeyRing]) -> None:
        self.remembers = settings.freshness is not None
        self._settings = settings
        self._jwe = jwe
        self._ring = ring

    def open(self, text: str, sender: Sender) -> PlainPhoto:
        """The photo's bytes, for the length of a `with` block.

        Args:
            text: the sealed photo.
            sender: the terminal that sealed it.

        Raises:
            InvalidArgument: the text is not in a format.
            SealedPhotoRefused: it does not open, whatever the reason.
            KeyRefused: the key store cannot be read any more, or no key opens the format.
            TryLater: too many photos to remember, or the clock was set back (sealed.freshness).
        """
        ring = self._ring()
        if _JWE_MARK in text and self._settings.jwe:
            ring.require_jwe()
            return PlainPhoto(self._jwe.open(text, ring.opening(), sender.name))
        if self._settings.legacy and sender.legacy:
            ring.require_legacy()
            return PlainPhoto(ring.legacy().open(text))
        raise SealedPhotoRefused
