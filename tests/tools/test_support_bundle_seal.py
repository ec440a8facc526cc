"""A bundle opens for whom it is sealed to, by another library too, and for nobody else."""

from __future__ import annotations

import base64
import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from daemon.errors import KeyRefused
from daemon.sealed.jwe import JweFormat
from daemon.sealed.keys import KeyKind, OpeningKey
from tools.support_bundle_seal import new_support_key, opened, public_half, sealed, support_key

CONTENT = os.urandom(200_000)


@pytest.fixture(scope="module")
def key() -> dict[str, str]:
    """Support's private key."""
    return new_support_key()


def test_it_opens_with_supports_key(key: dict[str, str]) -> None:
    text = sealed(CONTENT, support_key(json.dumps(public_half(key)).encode()))
    assert opened(text + b"\n", json.dumps(key).encode()) == CONTENT
    assert CONTENT[:30] not in text


def test_another_implementation_opens_it_too(key: dict[str, str]) -> None:
    secret = X25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(key["d"] + "="))
    keys = {key["kid"]: OpeningKey(key["kid"], KeyKind.X25519, None, secret)}
    assert JweFormat(None).open(sealed(CONTENT, public_half(key)).decode(), keys, "support") == CONTENT


def test_it_opens_with_no_other_key(key: dict[str, str]) -> None:
    with pytest.raises(KeyRefused, match="does not open"):
        opened(sealed(CONTENT, public_half(key)), json.dumps(new_support_key()).encode())


def test_a_changed_one_does_not_open(key: dict[str, str]) -> None:
    text = bytearray(sealed(CONTENT, public_half(key)))
    text[len(text) // 2] ^= 1
    with pytest.raises(KeyRefused, match="does not open"):
        opened(bytes(text), json.dumps(key).encode())


def test_nothing_is_sealed_to_a_private_key(key: dict[str, str]) -> None:
    with pytest.raises(KeyRefused, match="private one") as refused:
        support_key(json.dumps(key).encode())
    assert key["d"] not in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b'{"kty": "OKP"}', b'{"kty": "oct", "k": "AAAA"}', b"\xff"])
def test_nothing_is_sealed_to_what_is_no_public_key(text: bytes) -> None:
    with pytest.raises(KeyRefused):
        support_key(text)
