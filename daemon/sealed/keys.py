"""Keys of the device: their kinds and states, their secrets as bytes, and what of them may be published."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pybase64
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from daemon.errors import KeyRefused

PrivateKey = x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Secret = PrivateKey | bytes

SYMMETRIC_BYTES = 32
"""A256GCM's key. Source: RFC 7518, section 5.3."""

LEGACY_BYTES = SYMMETRIC_BYTES + 12
"""A legacy key and its IV, one behind the other. Source: FORMAT.md."""

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 4096
"""Source of the least: RFC 7518, section 4.3. Beyond the most, opening would hold a core for long."""


class KeyKind(str, Enum):
    """What a key is, and what it opens."""

    X25519 = "x25519"
    P256 = "p-256"
    RSA = "rsa"
    DIRECT = "dir"
    LEGACY = "legacy"
    ENROLMENT = "enrolment"
    AUTHORITY = "authority"


class KeyState(str, Enum):
    """Staged keys wait, active ones open and are published, retiring ones only open, destroyed ones are gone."""

    STAGED = "staged"
    ACTIVE = "active"
    RETIRING = "retiring"
    DESTROYED = "destroyed"


PUBLISHED_KINDS = (KeyKind.X25519, KeyKind.P256, KeyKind.RSA)
"""Kinds whose public halves terminals seal to."""

OPENING_STATES = (KeyState.ACTIVE, KeyState.RETIRING)


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """One key, ready to use.

    Attributes:
        kid: the key's id.
        kind: what it is.
        terminal: the one terminal that may use it; None where any may.
        secret: a private key; bytes for symmetric kinds.
    """

    kid: str
    kind: KeyKind
    terminal: str | None
    secret: Secret = field(repr=False)


def secret_bytes(secret: Secret) -> bytes:
    """A secret as the key store keeps it: symmetric ones as they are, private keys as PKCS #8 DER."""
    if isinstance(secret, bytes):
        return secret
    return secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def secret_of(kind: KeyKind, content: bytes | bytearray) -> Secret:
    """The other way round, checked: the secret of a kind.

    Raises:
        KeyRefused: the bytes are no secret of this kind, or a weak one. The text never holds them.
    """
    sizes = {KeyKind.DIRECT: SYMMETRIC_BYTES, KeyKind.LEGACY: LEGACY_BYTES}
    if kind in sizes:
        if len(content) != sizes[kind]:
            raise _refused(kind, f"{len(content)} bytes instead of {sizes[kind]}")
        return bytes(content)
    try:
        private = load_der_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(kind, "no private key in PKCS #8") from None
    if not _fits(kind, private):
        raise _refused(kind, "a private key of another kind or size")
    return private  # type: ignore[return-value]  # _fits says which


def _fits(kind: KeyKind, private: object) -> bool:
    if kind in (KeyKind.X25519, KeyKind.ENROLMENT):
        return isinstance(private, x25519.X25519PrivateKey)
    if kind in (KeyKind.P256, KeyKind.AUTHORITY):
        return isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1)
    return isinstance(private, rsa.RSAPrivateKey) and RSA_BITS_MIN <= private.key_size <= RSA_BITS_MAX


def _refused(kind: KeyKind, seen: str) -> KeyRefused:
    return KeyRefused(f"the secret is not one of a key of kind {kind.value}: {seen}", "Make or import the key anew.")


def public_jwk(kid: str, kind: KeyKind, secret: Secret) -> dict[str, str] | None:
    """What terminals need to seal to a key, as a JWK; None for kinds without a public half.

    Source: RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2.
    """
    if isinstance(secret, bytes) or kind is KeyKind.AUTHORITY:
        return None
    if isinstance(secret, x25519.X25519PrivateKey):
        parts = {"kty": "OKP", "crv": "X25519", "x": base64url(_raw(secret))}
    elif isinstance(secret, ec.EllipticCurvePrivateKey):
        point = secret.public_key().public_numbers()
        parts = {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    else:
        numbers = secret.public_key().public_numbers()
        parts = {
            "kty": "RSA",
            "n": _number(numbers.n, -(-secret.key_size // 8)),
            "e": _number(numbers.e, -(-numbers.e.bit_length() // 8)),
        }
    alg = "RSA-OAEP-256" if kind is KeyKind.RSA else "ECDH-ES"
    return parts | {"alg": alg, "use": "enc", "kid": kid}


def _raw(secret: x25519.X25519PrivateKey) -> bytes:
    return secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _number(value: int, size: int) -> str:
    return base64url(value.to_bytes(size, "big"))


def base64url(content: bytes) -> str:
    """Base64url without padding. Source: RFC 7515, section 2."""
    return pybase64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def jwk_set(jwks: list[dict[str, str]]) -> dict[str, Any]:
    """A JWK set. Source: RFC 7517, section 5."""
    return {"keys": jwks}
