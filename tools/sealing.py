"""Seals photos as a terminal does, by a JOSE library that shares nothing with the daemon's opening (joserfc)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwe, jwk
from joserfc.errors import JoseError

from daemon.errors import KeyRefused

ALGORITHMS = {"OKP": "ECDH-ES", "EC": "ECDH-ES", "RSA": "RSA-OAEP-256", "oct": "dir"}
"""Key type to `alg`. Source: daemon/sealed/FORMAT.md."""

Sealer = Callable[[bytes], str]
"""A photo's bytes to what a terminal sends for it."""


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


def jwe_sealer(key: Mapping[str, str]) -> Sealer:
    """Seals with one key; every sealed photo says when it was made and has an id of its own.

    Args:
        key: as for `seal`.

    Raises (when it seals):
        KeyRefused: no JWK that photos can be sealed with.
    """

    def sealed(photo: bytes) -> str:
        """What a terminal sends for a photo."""
        try:
            return seal(photo, key, {"iat": int(time.time()), "jti": uuid.uuid4().hex})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise KeyRefused(
                f"no JWK that photos can be sealed with: {type(error).__name__}",
                "Take one from /.well-known/jwks.json or fvctl keys add.",
            ) from None

    return sealed
