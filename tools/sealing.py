"""Seals photos as terminals do, by a library that shares no code with the daemon (joserfc)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import JWKRegistry

from daemon.errors import KeyRefused

Sealer = Callable[[bytes], str]
"""A photo's bytes to what a terminal sends for it."""

_PHOTO_MAX_BYTES = 64 * 1024 * 1024
"""More than any photo: what is too large is for the daemon to say."""


class _Registry(JWERegistry):
    """joserfc refuses to seal more than 64 KiB unless it is told otherwise."""

    max_ciphertext_length = _PHOTO_MAX_BYTES


def jwe_sealer(jwk: dict[str, Any]) -> Sealer:
    """Seals to a public key of the device, or under a terminal's own symmetric key.

    Every sealed photo names when it was made and an id of its own, for devices that ask for both.

    Args:
        jwk: with `kid` and `alg`, as `/.well-known/jwks.json` and `fvctl keys add` give it.

    Raises:
        KeyRefused: no JWK that photos can be sealed with.
    """
    try:
        key, how = JWKRegistry.import_key(jwk), {"alg": jwk["alg"], "enc": "A256GCM", "kid": jwk["kid"]}
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeyRefused("no JWK with kid and alg", "Take one from /.well-known/jwks.json or fvctl keys add.") from None
    registry = _Registry(algorithms=[how["alg"], how["enc"]], strict_check_header=False)

    def seal(photo: bytes) -> str:
        header = {**how, "iat": int(time.time()), "jti": uuid.uuid4().hex}
        try:
            return encrypt_compact(header, photo, key, registry=registry)
        except JoseError as error:
            raise KeyRefused(f"the key does not seal: {error}", "Use a key as fvctl keys makes them.") from None

    return seal
