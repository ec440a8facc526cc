"""The JWE format: opens photos that were sealed to a key of the device, or under a key of the terminal's own.

Every refusal is the same, in words and in work. What is wrong with a key is never a reason to stop: a key that the
photo does not fit is replaced by a stand-in of its kind, and what comes of it by a random content key, so that the tag
decides in all cases. Which steps run depends on the text alone, which whoever sent it knows already.
Source: RFC 7516, section 11.5, taken to all algorithms.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.errors import MalformedEnvelope, SealedPhotoRefused
from daemon.sealed.buffers import wipe
from daemon.sealed.content_key import content_key
from daemon.sealed.envelope import TAG_BYTES, SealedParts, take_apart
from daemon.sealed.freshness import FreshPhotos
from daemon.sealed.header import Algorithm
from daemon.sealed.keys import SYMMETRIC_BYTES, KeyKind, OpeningKey, Secret

_NOBODY = OpeningKey("", KeyKind.AUTHORITY, None, b"")
"""What an unknown id names: a key that opens no photo, looked at like any other."""


class JweFormat:
    """Opens photos in the JWE format."""

    def __init__(self, memory: FreshPhotos | None) -> None:
        """Take the memory of photos seen; with None, photos need not say when they were sealed."""
        self._memory = memory
        self._stand_ins: dict[KeyKind, Secret] = {
            KeyKind.X25519: x25519.X25519PrivateKey.generate(),
            KeyKind.P256: ec.generate_private_key(ec.SECP256R1()),
            KeyKind.DIRECT: os.urandom(SYMMETRIC_BYTES),
        }

    def open(self, text: str, keys: Mapping[str, OpeningKey], sender: str) -> bytearray:
        """The photo's bytes, in a buffer that the caller wipes.

        Args:
            text: JWE compact serialisation.
            keys: every key that opens now, of any kind, by id.
            sender: name of the terminal that asks.

        Raises:
            SealedPhotoRefused: it does not open for this sender, whatever the reason, or is not fresh.
            TryLater: the memory of photos seen is full, or the clock was set back.
        """
        photo = self._opened(text, keys, sender)
        if photo is None:
            raise SealedPhotoRefused
        return photo

    def _opened(self, text: str, keys: Mapping[str, OpeningKey], sender: str) -> bytearray | None:
        try:
            parts = take_apart(text)
        except MalformedEnvelope:
            return None
        photo = bytearray(len(parts.sealed) - TAG_BYTES)
        key = self._content_key(parts, keys, sender)
        try:
            opened = decrypted(parts, key, photo)
        finally:
            wipe(key)
        if not opened:
            return None
        # Only now: who cannot seal must not use up ids.
        self._remember(parts, photo)
        return photo

    def _remember(self, parts: SealedParts, photo: bytearray) -> None:
        if self._memory is None:
            return
        try:
            self._memory.take(parts.header.iat, parts.header.jti)
        except BaseException:
            wipe(photo)
            raise

    def _content_key(self, parts: SealedParts, keys: Mapping[str, OpeningKey], sender: str) -> bytearray:
        """The content key if the named key may open the photo, else one that opens nothing, after the same work."""
        stand_in, useless = self._stand_in(parts, keys), bytearray(os.urandom(SYMMETRIC_BYTES))
        named = keys.get(parts.header.kid, _NOBODY)
        fits = _may_open(named, parts, sender)
        secret = named.secret if fits else stand_in
        made = content_key(secret, parts) if secret is not None else None
        key, other = (made, useless) if fits and made is not None else (useless, made)
        wipe(other or bytearray())
        return key

    def _stand_in(self, parts: SealedParts, keys: Mapping[str, OpeningKey]) -> Secret | None:
        """A secret that costs what the right one would; None where no key of the device is as long as the message."""
        if parts.header.alg is not Algorithm.RSA_OAEP_256:
            return self._stand_ins[parts.header.kind]
        return next((key.secret for key in keys.values() if _is_as_long(key, parts)), None)


def _may_open(key: OpeningKey, parts: SealedParts, sender: str) -> bool:
    belongs = (key.terminal == sender) | ((key.terminal is None) & (key.kind is not KeyKind.DIRECT))
    is_as_long = (key.kind is not KeyKind.RSA) or _is_as_long(key, parts)
    # All three are looked at, also where one is enough: half a microsecond would tell a known id from an unknown one.
    return belongs & (key.kind is parts.header.kind) & is_as_long


def _is_as_long(key: OpeningKey, parts: SealedParts) -> bool:
    if key.kind is not KeyKind.RSA or not isinstance(key.secret, rsa.RSAPrivateKey):
        return False
    return (key.secret.key_size + 7) // 8 == len(parts.encrypted_key)


def decrypted(parts: SealedParts, key: bytearray, photo: bytearray) -> bool:
    """Whether the tag is right; fills a buffer with the photo if it is, with zeros in all other cases.

    Args:
        parts: the sealed photo.
        key: 32 bytes.
        photo: a buffer as long as the ciphertext without its tag.
    """
    opened = False
    try:
        AESGCM(key).decrypt_into(parts.iv, parts.sealed, parts.protected, photo)
        opened = True
    except InvalidTag:
        pass
    finally:
        if not opened:
            wipe(photo)  # decrypt_into writes before it knows that the tag is wrong
    return opened
