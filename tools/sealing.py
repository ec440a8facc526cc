"""Seals photos as a terminal does, by a JOSE library that shares nothing with the daemon's opening.

The one owner of joserfc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc import jwe, jwk

ALGORITHMS = {"OKP": "ECDH-ES", "EC": "ECDH-ES", "RSA": "RSA-OAEP-256", "oct": "dir"}
"""Key type to `alg`. Source: daemon/sealed/FORMAT.md."""


class _AnySize(jwe.JWERegistry):
    """joserfc's rules, but for photos: it refuses what has more than 64 KiB unless told otherwise."""

    max_ciphertext_length = 1 << 26


def seal(photo: bytes, key: Mapping[str, str], header: Mapping[str, Any]) -> str:
    """What a terminal sends for a photo.

    Args:
        photo: the photo file's bytes.
        key: one key of the device's JWK set, or the terminal's own: a JWK of type `oct`.
        header: further members, such as iat and jti.

    Returns:
        JWE compact serialisation.
    """
    alg = ALGORITHMS[key["kty"]]
    rules = _AnySize(algorithms=[alg, "A256GCM"], strict_check_header=False)
    protected = {"alg": alg, "enc": "A256GCM", "kid": key["kid"], **header}
    # joserfc holds a key to its declared use, so only what makes the key goes in.
    parts: dict[str, str | list[str]] = {
        name: value for name, value in key.items() if name in ("kty", "crv", "x", "y", "n", "e", "k")
    }
    return jwe.encrypt_compact(protected, photo, jwk.import_key(parts), registry=rules)
