"""Seals by the primitives alone, whatever the header says: a tag is right, so that only rules can refuse a forgery."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from daemon.sealed.keys import KeyKind, OpeningKey

PHOTO = b"Not a photo, but forged."
OAEP_256 = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


def digits(content: bytes | bytearray) -> str:
    """Base64url by the standard library, without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def concat_kdf(shared: bytes, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """A256GCM's key. Source: RFC 7518, section 4.6.2, by hashlib."""
    info = b"".join(len(part).to_bytes(4, "big") + part for part in (b"A256GCM", apu, apv))
    return hashlib.sha256(b"\0\0\0\1" + shared + info + (256).to_bytes(4, "big")).digest()


@dataclass(frozen=True)
class Sealing:
    """All that a sender has who may seal to one key.

    Attributes:
        header: the members of an honest header.
        content_key: what the photo is sealed under.
        encrypted_key: that under an RSA key, or nothing.
    """

    header: dict[str, Any]
    content_key: bytes
    encrypted_key: bytes = b""

    def seal(self, header: bytes, iv: bytes | None = None) -> str:
        """A sealed photo with these bytes for a header, and a tag that covers them."""
        protected, iv = digits(header), os.urandom(12) if iv is None else iv
        sealed = AESGCM(self.content_key).encrypt(iv, PHOTO, protected.encode())
        parts = (protected, digits(self.encrypted_key), digits(iv), digits(sealed[:-16]), digits(sealed[-16:]))
        return ".".join(parts)


def sealing_to(key: OpeningKey, apu: bytes = b"", apv: bytes = b"") -> Sealing:
    """What a sender makes to seal one photo to a key."""
    secret = key.secret
    header: dict[str, Any] = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.kid}
    if isinstance(secret, bytes):
        return Sealing(header | {"alg": "dir"}, secret[:32])
    if isinstance(secret, rsa.RSAPrivateKey):
        content_key = os.urandom(32)
        return Sealing(
            header | {"alg": "RSA-OAEP-256"}, content_key, secret.public_key().encrypt(content_key, OAEP_256)
        )
    if apu or apv:
        header |= {"apu": digits(apu), "apv": digits(apv)}
    if isinstance(secret, x25519.X25519PrivateKey):
        own = x25519.X25519PrivateKey.generate()
        epk = {"kty": "OKP", "crv": "X25519", "x": digits(own.public_key().public_bytes_raw())}
        return Sealing(header | {"epk": epk}, concat_kdf(own.exchange(secret.public_key()), apu, apv))
    sender = ec.generate_private_key(ec.SECP256R1())
    point = sender.public_key().public_numbers()
    x, y = (digits(value.to_bytes(32, "big")) for value in (point.x, point.y))
    header |= {"epk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}}
    return Sealing(header, concat_kdf(sender.exchange(ec.ECDH(), secret.public_key()), apu, apv))


def ring_of(keys: dict[str, OpeningKey], terminal: str) -> dict[str, OpeningKey]:
    """These keys and, beside them, one of every other sort that a device may hold."""
    others = [
        OpeningKey("other-x25519", KeyKind.X25519, None, x25519.X25519PrivateKey.generate()),
        OpeningKey("other-p256", KeyKind.P256, None, ec.generate_private_key(ec.SECP256R1())),
        OpeningKey("other-rsa", KeyKind.RSA, None, rsa.generate_private_key(65537, 2048)),
        OpeningKey("other-dir", KeyKind.DIRECT, terminal, os.urandom(32)),
        OpeningKey("foreign-x25519", KeyKind.X25519, "another", x25519.X25519PrivateKey.generate()),
        OpeningKey("foreign-p256", KeyKind.P256, "another", ec.generate_private_key(ec.SECP256R1())),
        OpeningKey("foreign-dir", KeyKind.DIRECT, "another", os.urandom(32)),
        OpeningKey("shared-dir", KeyKind.DIRECT, None, os.urandom(32)),
        OpeningKey("legacy", KeyKind.LEGACY, None, os.urandom(44)),
        OpeningKey("enrolment", KeyKind.ENROLMENT, None, x25519.X25519PrivateKey.generate()),
        OpeningKey("authority", KeyKind.AUTHORITY, None, ec.generate_private_key(ec.SECP256R1())),
    ]
    return keys | {key.kid: key for key in others}
