"""Makes the secrets of keys, and reads those that others made."""

from __future__ import annotations

import json
import secrets
import string
import warnings
from collections.abc import Callable
from datetime import date, datetime, timezone
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, OctKey

from daemon.errors import KeyRefused
from daemon.sealed.keys import (
    LEGACY_BYTES,
    SYMMETRIC_BYTES,
    KeyKind,
    OpeningKey,
    Secret,
    base64url,
    secret_bytes,
    secret_of,
)
from daemon.sealed.legacy import IV_BYTES, KEY_BYTES, PUBLISHED_IV, PUBLISHED_KEY

_RSA_BITS = 3072
"""Source: NIST SP 800-57 part 1, table 2: 128 bits of security."""

_LEGACY_CHARACTERS = string.ascii_letters + string.digits
"""A legacy key is a text. Source: the vendor's manual; 32 of 62 characters are 190 bits."""

_KINDS_BY_ALG = {"dir": KeyKind.DIRECT, "legacy": KeyKind.LEGACY, "RSA-OAEP-256": KeyKind.RSA}
_KINDS_BY_CURVE = {"X25519": KeyKind.X25519, "P-256": KeyKind.P256}


def _legacy_text() -> bytes:
    return "".join(secrets.choice(_LEGACY_CHARACTERS) for _ in range(LEGACY_BYTES)).encode("ascii")


_MAKERS: dict[KeyKind, Callable[[], Secret]] = {
    KeyKind.X25519: x25519.X25519PrivateKey.generate,
    KeyKind.ENROLMENT: x25519.X25519PrivateKey.generate,
    KeyKind.P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyKind.AUTHORITY: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyKind.RSA: lambda: rsa.generate_private_key(65537, _RSA_BITS),
    KeyKind.DIRECT: lambda: secrets.token_bytes(SYMMETRIC_BYTES),
    KeyKind.LEGACY: _legacy_text,
}


def make_key(kind: KeyKind, terminal: str | None = None) -> OpeningKey:
    """A new key with an id that says its kind and day."""
    return OpeningKey(_new_kid(kind), kind, terminal, _MAKERS[kind]())


def published_key() -> OpeningKey:
    """The legacy key that the vendor's manual prints, for trying things out."""
    return OpeningKey("legacy-published", KeyKind.LEGACY, None, (PUBLISHED_KEY + PUBLISHED_IV).encode())


def _new_kid(kind: KeyKind) -> str:
    return f"{kind.value}-{datetime.now(timezone.utc):%Y%m%d}-{secrets.token_hex(3)}"


def as_jwk(key: OpeningKey) -> dict[str, str]:
    """A symmetric key as what its terminal is given, once."""
    content = secret_bytes(key.secret)
    if key.kind is KeyKind.LEGACY:
        return {"key": content[:KEY_BYTES].decode("ascii"), "iv": content[KEY_BYTES:].decode("ascii")}
    return {"kty": "oct", "k": base64url(content), "alg": "dir", "kid": key.kid}


def key_of_jwk(text: bytes, terminal: str | None) -> OpeningKey:
    """The key in a private JWK that somebody else made.

    Args:
        text: JSON; `kty` oct with `alg` dir, or legacy with a member `iv`; or a private OKP, EC or RSA key.
        terminal: for symmetric keys, whose it is.

    Raises:
        KeyRefused: no such JWK, or a weak one. The text never holds what was read.
    """
    remedy = "Import a JWK as daemon/sealed/FORMAT.md describes."
    try:
        jwk = json.loads(text)
        kind = _kind(jwk)
        with warnings.catch_warnings():
            # joserfc warns of short keys, and of IVs, which it takes for keys; secret_of refuses what is weak.
            warnings.simplefilter("ignore", SecurityWarning)
            content = _content(kind, jwk)
        kid = jwk.get("kid") or _new_kid(kind)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise KeyRefused("what was imported is no private JWK", remedy) from None
    return OpeningKey(str(kid), kind, terminal, secret_of(kind, content))


def _kind(jwk: dict[str, Any]) -> KeyKind:
    return _KINDS_BY_CURVE[jwk["crv"]] if "crv" in jwk else _KINDS_BY_ALG[jwk["alg"]]


def _content(kind: KeyKind, jwk: dict[str, Any]) -> bytes:
    if kind is KeyKind.DIRECT:
        return _octets(jwk["k"])
    if kind is KeyKind.LEGACY:
        key, iv = _octets(jwk["k"]), _octets(jwk["iv"])
        if (len(key), len(iv)) != (KEY_BYTES, IV_BYTES):  # together they could still be as long as they should
            raise ValueError(len(key))
        return key + iv
    imported = JWKRegistry.import_key({name: value for name, value in jwk.items() if name != "alg"})
    return secret_bytes(imported.private_key)  # type: ignore[arg-type]  # secret_of checks which it is


def _octets(text: str) -> bytes:
    return OctKey.import_key({"kty": "oct", "k": text}).raw_value


def day(text: str) -> date:
    """A day as on a command line: YYYY-MM-DD."""
    return date.fromisoformat(text)
