"""Key-encryption keys inside a PKCS#11 token (a security module, or OP-TEE's). The one owner of python-pkcs11.

The key never leaves the token: the token itself seals and opens. Source: PKCS #11 3.0, section 2.12 (AES-GCM).
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pkcs11
from pkcs11 import Attribute, DecryptMixin, EncryptMixin, GCMParams, KeyType, Mechanism, ObjectClass

from daemon.config import Pkcs11
from daemon.errors import KeyRefused
from daemon.private import refuse_readable

_NONCE_BYTES = 12
_TAG_BITS = 128
"""As the KEK in memory has them. Source: NIST SP 800-38D, sections 5.2.1.1 and 5.2.1.2."""

_KEK_BITS = 256

_ID_BYTES = 16
"""Enough that no two random ids are the same."""

_ONE_AT_A_TIME = threading.Lock()
"""A login is the whole process's: a second one is refused, and the first to end logs all others out.

Source: PKCS #11 3.0, section 5.6.8 (C_Login, C_Logout).
"""


class TokenKek:
    """A KEK in a token, by label and id; one short session an operation.

    Attributes:
        key_id: CKA_ID of the key; empty where its maker gave it none.
    """

    def __init__(self, settings: Pkcs11, key_id: bytes) -> None:
        self.key_id = key_id
        self._settings = settings

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """See `daemon.sealed.kek.Kek`.

        Raises:
            KeyRefused: the key has gone, or the token does not answer.
        """
        nonce = os.urandom(_NONCE_BYTES)
        with session(self._settings) as opened:
            found = self._found(opened, EncryptMixin)
            if not found:
                raise _lost(self._settings)
            how = _how(nonce, associated)
            return nonce + bytes(found[0].encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=how))

    def open(self, sealed: bytes, associated: bytes) -> bytearray | None:
        """See `daemon.sealed.kek.Kek`; a key that has gone, or that cannot be used, opens nothing.

        Raises:
            KeyRefused: the token does not answer.
        """
        with session(self._settings) as opened:
            found = (_opened_by(key, sealed, associated) for key in self._found(opened, DecryptMixin))
            return next((plain for plain in found if plain is not None), None)

    def _found(self, opened: Any, able: type) -> list[Any]:  # noqa: ANN401 - python-pkcs11's session and keys
        """The key, if it is there and able to do something; several where keys of other makers have no id."""
        keys = _keys(opened, self._settings)
        return [key for key in keys if isinstance(key, able) and _id(key) == self.key_id]


def _lost(settings: Pkcs11) -> KeyRefused:
    return KeyRefused(
        f"the token {settings.token} has lost the key {settings.key}",
        f"See what is there: pkcs11-tool --module {settings.module} --token-label {settings.token} --login -O",
    )


def _opened_by(key: Any, sealed: bytes, associated: bytes) -> bytearray | None:  # noqa: ANN401 - python-pkcs11's key
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return bytearray(key.decrypt(rest, mechanism=Mechanism.AES_GCM, mechanism_param=_how(nonce, associated)))
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


def token_keks(settings: Pkcs11) -> tuple[TokenKek, ...]:
    """The keys of the label that the token has, in no order; during a rotation there are two.

    Raises:
        KeyRefused: it has none, or does not answer.
    """
    with session(settings) as opened:
        there = tuple(TokenKek(settings, _id(key)) for key in _keys(opened, settings))
    if not there:
        raise KeyRefused(f"the token {settings.token} has no key {settings.key}", "Run: fvctl keys init")
    return there


def count(settings: Pkcs11) -> int:
    """How many keys of the label the token has.

    Raises:
        KeyRefused: it does not answer.
    """
    with session(settings) as opened:
        return len(_keys(opened, settings))


def generate(settings: Pkcs11) -> TokenKek:
    """Make a KEK inside the token that can never be taken out, beside those that there are.

    Raises:
        KeyRefused: the token does not answer.
    """
    kek = TokenKek(settings, secrets.token_bytes(_ID_BYTES))
    with session(settings, writing=True) as opened:
        kept = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        opened.generate_key(KeyType.AES, _KEK_BITS, label=settings.key, id=kek.key_id, store=True, template=kept)
    return kek


def keep_only(settings: Pkcs11, kek: TokenKek) -> None:
    """Remove every other key of the label.

    Raises:
        KeyRefused: the key to keep is not there, or the token does not answer.
    """
    with session(settings, writing=True) as opened:
        ids = [(_id(key), key) for key in _keys(opened, settings)]  # all are read before any is removed
        if kek.key_id not in [key_id for key_id, _ in ids]:
            raise _lost(settings)
        for key_id, key in ids:
            if key_id != kek.key_id:
                key.destroy()


def _keys(opened: Any, settings: Pkcs11) -> list[Any]:  # noqa: ANN401 - python-pkcs11's session and keys
    wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: settings.key}
    return list(opened.get_objects(wanted))


def _id(key: Any) -> bytes:  # noqa: ANN401 - python-pkcs11's key
    try:
        return bytes(key[Attribute.ID])
    except pkcs11.AttributeTypeInvalid:  # a key of another maker, or one whose making was interrupted
        return b""
