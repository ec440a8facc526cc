"""Content keys, held to the examples of the standards."""

from __future__ import annotations

import base64
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from daemon.sealed.content_key import agreement, content_key, derived, other_info
from daemon.sealed.envelope import SealedParts
from daemon.sealed.header import Algorithm, Ephemeral, Header
from daemon.sealed.keys import KeyKind
from tests.daemon.sealed.forgery import concat_kdf
from tests.daemon.sealed.mutations import LOW_ORDER, P
from tests.vectors.cases import opening_keys

KEYS = opening_keys()

# Source: RFC 7518, appendix C: Alice's ephemeral key, Z, and the key derived for A128GCM.
ALICE_X = "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"
ALICE_Y = "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"
Z = bytes([158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156,
           251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196])  # fmt: skip
DERIVED = "VqqN6vgjbSBcIijNcacQGg"


def _bytes(digits: str) -> bytes:
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _parts(alg: Algorithm, epk: Ephemeral | None = None, encrypted_key: bytes = b"") -> SealedParts:
    return SealedParts(Header(alg, "k", epk, b"", b"", None, None), b"", encrypted_key, bytes(12), bytearray(16))


def _agreeing(kind: KeyKind) -> x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey:
    secret = KEYS["vector-x25519" if kind is KeyKind.X25519 else "vector-p256"].secret
    assert isinstance(secret, (x25519.X25519PrivateKey, ec.EllipticCurvePrivateKey))
    return secret


def test_the_agreement_on_p256_is_that_of_rfc_7518() -> None:
    epk = Ephemeral(KeyKind.P256, _bytes(ALICE_X), _bytes(ALICE_Y))
    assert agreement(_agreeing(KeyKind.P256), epk) == Z


def test_the_derivation_is_that_of_rfc_7518() -> None:
    key = bytearray(16)
    derived(Z, other_info("A128GCM", 128, b"Alice", b"Bob"), key)
    assert key == _bytes(DERIVED)


def test_the_derivation_for_our_encryption_is_a_hash_by_hand() -> None:
    key = bytearray(32)
    derived(Z, other_info("A256GCM", 256, b"Alice", b"Bob"), key)
    assert key == concat_kdf(Z, b"Alice", b"Bob")


def test_the_agreement_on_x25519_is_that_of_rfc_8037() -> None:
    # Source: RFC 8037, appendix A.6, whose numbers are those of RFC 7748, section 6.1.
    epk = Ephemeral(KeyKind.X25519, _bytes("hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"), b"")
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert agreement(_agreeing(KeyKind.X25519), epk).hex() == shared


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
@pytest.mark.parametrize("high_bit", [0, 0x80])
def test_a_point_of_low_order_makes_no_key(point: bytes, high_bit: int) -> None:
    x = point[:31] + bytes([point[31] | high_bit])
    parts = _parts(Algorithm.ECDH_ES, Ephemeral(KeyKind.X25519, x, b""))
    assert content_key(_agreeing(KeyKind.X25519), parts) is None


ALICE = (int.from_bytes(_bytes(ALICE_X), "big"), int.from_bytes(_bytes(ALICE_Y), "big"))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(0, 0, id="infinity as zeros"),
        pytest.param(ALICE[0], ALICE[1] ^ 1, id="beside the curve"),
        pytest.param(ALICE[1], ALICE[0], id="swapped"),
        pytest.param(P, ALICE[1], id="beyond the field"),
        pytest.param(2**256 - 1, 2**256 - 1, id="all ones"),
        pytest.param(ALICE[0], 0, id="on the twist or nowhere"),
    ],
)
def test_a_point_that_is_not_on_p256_makes_no_key(x: int, y: int) -> None:
    epk = Ephemeral(KeyKind.P256, x.to_bytes(32, "big"), y.to_bytes(32, "big"))
    assert content_key(_agreeing(KeyKind.P256), _parts(Algorithm.ECDH_ES, epk)) is None


def _wrapped(content: bytes, how: padding.AsymmetricPadding) -> SealedParts:
    secret = KEYS["vector-rsa"].secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    return _parts(Algorithm.RSA_OAEP_256, encrypted_key=secret.public_key().encrypt(content, how))


def test_a_key_wrapped_with_sha_256_throughout_is_unwrapped() -> None:
    key = os.urandom(32)
    parts = _wrapped(key, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    made = content_key(KEYS["vector-rsa"].secret, parts)
    assert made is not None
    assert bytes(made) == key


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(padding.OAEP(padding.MGF1(SHA1()), SHA256(), None), id="Java's default mask"),  # noqa: S303
        pytest.param(padding.OAEP(padding.MGF1(SHA1()), SHA1(), None), id="RSA-OAEP"),  # noqa: S303
        pytest.param(padding.OAEP(padding.MGF1(SHA256()), SHA256(), b"label"), id="a label"),
        pytest.param(padding.PKCS1v15(), id="RSA1_5"),
    ],
)
def test_a_key_wrapped_in_another_way_makes_none(how: padding.AsymmetricPadding) -> None:
    assert content_key(KEYS["vector-rsa"].secret, _wrapped(bytes(32), how)) is None


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33, 48])
def test_a_wrapped_key_of_another_length_makes_none(size: int) -> None:
    parts = _wrapped(bytes(size), padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    assert content_key(KEYS["vector-rsa"].secret, parts) is None


def test_an_encrypted_key_with_the_modulus_added_makes_none() -> None:
    secret = KEYS["vector-rsa"].secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    modulus = secret.public_key().public_numbers().n
    while True:  # so that the sum still fits; the same number to a lax reader
        parts = _wrapped(bytes(32), padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
        if (added := int.from_bytes(parts.encrypted_key, "big") + modulus) < 1 << 2048:
            break
    again = _parts(Algorithm.RSA_OAEP_256, encrypted_key=added.to_bytes(256, "big"))
    assert content_key(secret, again) is None


def test_a_shared_key_is_copied_so_that_wiping_leaves_it() -> None:
    secret = KEYS["vector-dir"].secret
    made = content_key(secret, _parts(Algorithm.DIRECT))
    assert made is not None
    assert bytes(made) == secret
    made[0] ^= 1
    assert bytes(made) != secret
