"""What is sealed for terminals opens in the daemon, and names its key, its time and an id of its own."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from daemon.errors import KeyRefused
from daemon.sealed.jwe import JweFormat
from daemon.sealed.keys import KeyKind, OpeningKey, public_jwk
from tools.key_making import as_jwk, make_key
from tools.sealing import jwe_sealer

_TILL = "till-3"
_KINDS = (KeyKind.X25519, KeyKind.P256, KeyKind.RSA, KeyKind.DIRECT)


def _key(kind: KeyKind) -> tuple[OpeningKey, dict[str, str]]:
    key = make_key(kind, _TILL if kind is KeyKind.DIRECT else None)
    return key, public_jwk(key.kid, kind, key.secret) or as_jwk(key)


def _header(sealed: str) -> dict[str, Any]:
    digits = sealed.partition(".")[0]
    header: dict[str, Any] = json.loads(urlsafe_b64decode(digits + "=" * (-len(digits) % 4)))
    return header


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("photo", [b"", b"a photo", bytes(5 << 20)], ids=["nothing", "a few bytes", "5 MiB"])
def test_what_is_sealed_opens(kind: KeyKind, photo: bytes) -> None:
    key, jwk = _key(kind)
    assert JweFormat(None).open(jwe_sealer(jwk)(photo), {key.kid: key}, _TILL) == photo


def test_the_header_names_key_and_time() -> None:
    _, jwk = _key(KeyKind.X25519)
    header = _header(jwe_sealer(jwk)(b"a photo"))
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", "A256GCM", jwk["kid"])
    assert abs(header["iat"] - time.time()) < 60


def test_one_photo_sealed_twice_is_two_texts_with_ids_of_their_own() -> None:
    seal = jwe_sealer(_key(KeyKind.X25519)[1])
    assert _header(seal(b"a photo"))["jti"] != _header(seal(b"a photo"))["jti"]


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA", "alg": "ECDH-ES"},
        {"kty": "OKP", "crv": "X25519", "alg": "ECDH-ES", "kid": "k"},
        {"kty": "none", "alg": "ECDH-ES", "kid": "k"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "dir", "kid": "k"},
    ],
    ids=["empty", "no kid", "no x", "no such type", "too short"],
)
def test_what_is_no_key_to_seal_with_is_refused_and_not_repeated(jwk: dict[str, str]) -> None:
    with pytest.raises(KeyRefused) as refused:
        jwe_sealer(jwk)(b"a photo")
    assert "c2VjcmV0" not in str(refused.value)
    assert "fvctl keys" in refused.value.remedy
