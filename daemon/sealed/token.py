"""Key-encryption keys inside a PKCS#11 token (a security module, or OP-TEE's). The one owner of python-pkcs11.

The key never leaves the token: the token itself seals and opens. Source: PKCS #11 3.0, section 2.12 (AES-GCM).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from daemon.config import Pkcs11
from daemon.errors import KeyRefused
from daemon.private import refuse_readable

_NONCE_BYTES = 12
_TAG_BITS = 128
"""As the KEK in memory has them. Source: NIST SP 800-38D, sections 5.2.1.1 and 5.2.1.2."""

_KEK_BITS = 256

_ONE_AT_A_TIME = threading.Lock()
"""A login is the whole process's: a second one is refused, and the first to end logs all others out.

Source: PKCS #11 3.0, section 5.6.8 (C_Login, C_Logout).
"""


class TokenKek:
    """A KEK in a token, by its label; one short session an operation."""

    def __init__(self, settings: Pkcs11, label: str) -> None:
        self._settings = settings
        self._label = label

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """See `daemon.sealed.kek.Kek`.

        Raises:
            KeyRefused: the token does not answer.
        """
        nonce = os.urandom(_NONCE_BYTES)
        with session(self._settings) as opened:
            key = _key(opened, self._label)
            return nonce + bytes(
                key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=_how(nonce, associated))
            )

    def open(self, sealed: bytes, associated: bytes) -> bytearray | None:
        """See `daemon.sealed.kek.Kek`.

        Raises:
            KeyRefused: the token does not answer.
        """
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        with session(self._settings) as opened:
            key = _key(opened, self._label)
            try:
                return bytearray(
                    key.decrypt(rest, mechanism=Mechanism.AES_GCM, mechanism_param=_how(nonce, associated))
                )
            except pkcs11.PKCS11Error:  # tokens differ in what they call a wrong tag
                return None


def _how(nonce: bytes, associated: bytes) -> GCMParams:
    return GCMParams(nonce, associated, _TAG_BITS)


@contextmanager
def session(settings: Pkcs11, writing: bool = False) -> Iterator[Any]:
    """A session with the token, logged in.

    Raises:
        KeyRefused: the module, the token or the PIN is not there or not right.
    """
    remedy = "See keys.pkcs11: module, token and pin must fit the token."
    try:
        with _ONE_AT_A_TIME:
            library = pkcs11.lib(str(settings.module))
            with library.get_token(token_label=settings.token).open(rw=writing, user_pin=_pin(settings)) as opened:
                yield opened
    except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the module does not load
        raise KeyRefused(f"the token {settings.token} refuses: {type(error).__name__}", remedy) from None


def _pin(settings: Pkcs11) -> str:
    refuse_readable(settings.pin, KeyRefused)
    try:
        return settings.pin.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRefused(
            f"the token's PIN cannot be read: {settings.pin}: {type(error).__name__}",
            f"Write the token's PIN into {settings.pin}.",
        ) from None


def _key(opened: Any, label: str) -> Any:  # noqa: ANN401 - python-pkcs11's session and key
    return opened.get_key(object_class=ObjectClass.SECRET_KEY, label=label)


def token_keks(settings: Pkcs11, labels: Iterable[str]) -> tuple[TokenKek, ...]:
    """Those of the labelled keys that the token has.

    Raises:
        KeyRefused: it has none, or does not answer.
    """
    with session(settings) as opened:
        there = tuple(TokenKek(settings, label) for label in labels if _has(opened, label))
    if not there:
        raise KeyRefused(f"the token {settings.token} has no key {settings.key}", "Run: fvctl keys init")
    return there


def has(settings: Pkcs11, label: str) -> bool:
    """Whether the token has a KEK of this label.

    Raises:
        KeyRefused: it does not answer.
    """
    with session(settings) as opened:
        return _has(opened, label)


def _has(opened: Any, label: str) -> bool:  # noqa: ANN401 - python-pkcs11's session
    return any(True for _ in opened.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label}))


def generate(settings: Pkcs11, label: str) -> None:
    """Make a KEK inside the token that can never be taken out.

    Raises:
        KeyRefused: the token has a key of that label already, or does not answer.
    """
    with session(settings, writing=True) as opened:
        if _has(opened, label):
            raise KeyRefused(f"the token {settings.token} has a key {label} already", "Use it, or remove it first.")
        kept = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        opened.generate_key(KeyType.AES, _KEK_BITS, label=label, store=True, template=kept)


def promote(settings: Pkcs11, label: str, to: str) -> None:
    """Remove the key of one label, and give its label to another key.

    Raises:
        KeyRefused: the token does not answer.
    """
    with session(settings, writing=True) as opened:
        for old in list(opened.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: to})):
            old.destroy()
        _key(opened, label)[Attribute.LABEL] = to
