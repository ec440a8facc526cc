"""The legacy format: base64 of AES-256-GCM with a fixed key and IV.

Supported for terminals written for the vendor's interface. A fixed IV is a known weakness: two ciphertexts under one
key and IV give away the XOR of their photos, and the authentication key. The opener says loudly that it is in use.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

import pybase64
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.errors import InvalidArgument, SealedPhotoRefused
from daemon.sealed.buffers import wipe

KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16
"""Sizes of AES-256-GCM. Source: NIST SP 800-38D, sections 5.2.1.1 and 8.2."""

PUBLISHED_KEY = "dcbbad6765e14139a07d34b92292a672"
PUBLISHED_IV = "df25d188a061"
"""Defaults that the vendor prints in its manual (private-cloud face service, version 1.8): no secrets at all."""


@dataclass(frozen=True, slots=True)
class LegacyKey:
    """Key and IV of an installation, as bytes of their UTF-8 text."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)

    @property
    def published(self) -> bool:
        """Whether this is the key or the IV that the vendor's manual prints."""
        return self.key == PUBLISHED_KEY.encode() or self.iv == PUBLISHED_IV.encode()

    @classmethod
    def of(cls, secret: bytes) -> LegacyKey:
        """Key and IV as the key store keeps them, one behind the other."""
        return cls(secret[:KEY_BYTES], secret[KEY_BYTES:])


class LegacyFormat:
    """Opens photos in the legacy format with any of its keys, and seals them with the first."""

    def __init__(self, *keys: LegacyKey) -> None:
        self._keys = [(AESGCM(key.key), key.iv) for key in keys]
        self.published = any(key.published for key in keys)

    def open(self, text: str) -> bytearray:
        """The photo's bytes, in a buffer that the caller wipes.

        Args:
            text: base64, standard alphabet, padded; a space counts as `+`, because form decoders turn one into the
                other.

        Raises:
            InvalidArgument: the text is not base64.
            SealedPhotoRefused: it does not decrypt, whatever the reason.
        """
        sealed = _from_base64(text.replace(" ", "+"))
        if len(sealed) < TAG_BYTES:
            raise SealedPhotoRefused
        plain = bytearray(len(sealed) - TAG_BYTES)
        for aead, iv in self._keys:
            if _opens(aead, iv, sealed, plain):
                return plain
        raise SealedPhotoRefused

    def seal(self, photo: bytes) -> str:
        """What a terminal sends for a photo."""
        aead, iv = self._keys[0]
        return pybase64.b64encode(aead.encrypt(iv, photo, None)).decode("ascii")


def _opens(aead: AESGCM, iv: bytes, sealed: bytes, plain: bytearray) -> bool:
    try:
        aead.decrypt_into(iv, sealed, None, plain)
    except InvalidTag:
        wipe(plain)  # decrypt_into writes before it knows that the tag is wrong
        return False
    return True


def _from_base64(text: str) -> bytes:
    try:
        raw = pybase64.b64decode(text, validate=True)
        # Unused bits of the last digit are not part of the bytes; only the one canonical text is accepted.
        canonical = text[-4:] == pybase64.b64encode(pybase64.b64decode(text[-4:], validate=True)).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidArgument("not base64") from None
    if not canonical:
        raise InvalidArgument("not canonical base64")
    return raw
