"""Secrets survive storing and are checked; public halves are what the standards and another library say."""

from __future__ import annotations

import base64
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from daemon.errors import KeyRefused
from daemon.sealed.keys import KeyKind, OpeningKey, PrivateKey, Secret, jwk_set, public_jwk, secret_bytes, secret_of


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _der(private: PrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def secrets() -> dict[KeyKind, Secret]:
    """One of each kind."""
    return {
        KeyKind.X25519: x25519.X25519PrivateKey.generate(),
        KeyKind.P256: ec.generate_private_key(ec.SECP256R1()),
        KeyKind.RSA: rsa.generate_private_key(65537, 2048),
        KeyKind.DIRECT: bytes(range(32)),
        KeyKind.LEGACY: bytes(range(44)),
        KeyKind.ENROLMENT: x25519.X25519PrivateKey.generate(),
        KeyKind.AUTHORITY: ec.generate_private_key(ec.SECP256R1()),
    }


@pytest.mark.parametrize("kind", KeyKind)
def test_a_secret_comes_back_from_its_bytes(secrets: dict[KeyKind, Secret], kind: KeyKind) -> None:
    content = secret_bytes(secrets[kind])
    again = secret_of(kind, content)
    assert type(again) is type(secrets[kind])
    assert secret_bytes(again) == content


_ALIKE = ({KeyKind.X25519, KeyKind.ENROLMENT}, {KeyKind.P256, KeyKind.AUTHORITY})
"""Kinds whose secrets are the same sort of key: only the record's metadata tells them apart."""


@pytest.mark.parametrize(
    ("kind", "other"),
    [pair for pair in itertools.permutations(KeyKind, 2) if set(pair) not in _ALIKE],
    ids=lambda kind: kind.value,
)
def test_a_secret_of_another_kind_is_refused(secrets: dict[KeyKind, Secret], kind: KeyKind, other: KeyKind) -> None:
    with pytest.raises(KeyRefused, match=f"kind {kind.value}: "):
        secret_of(kind, secret_bytes(secrets[other]))


@pytest.mark.parametrize(
    ("kind", "private"),
    [
        (KeyKind.P256, ec.generate_private_key(ec.SECP384R1())),
        (KeyKind.X25519, ed25519.Ed25519PrivateKey.generate()),
        (KeyKind.RSA, rsa.generate_private_key(65537, 1024)),  # noqa: S505 - weak on purpose
    ],
    ids=["another curve", "a signing key", "1024 bits"],
)
def test_a_private_key_that_looks_nearly_right_is_refused(
    kind: KeyKind, private: PrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    with pytest.raises(KeyRefused, match="another kind or size"):
        secret_of(kind, _der(private))


def test_an_rsa_key_that_would_hold_a_core_for_long_is_refused() -> None:
    with pytest.raises(KeyRefused, match="another kind or size"):
        secret_of(KeyKind.RSA, _der(rsa.generate_private_key(65537, 4104)))


@pytest.mark.parametrize("kind", KeyKind)
@pytest.mark.parametrize("size", [0, 1, 31, 33, 43, 45, 4096])
def test_bytes_of_a_wrong_size_are_refused(kind: KeyKind, size: int) -> None:
    with pytest.raises(KeyRefused):
        secret_of(kind, bytes(size))


@pytest.mark.parametrize("kind", KeyKind)
def test_a_refusal_says_nothing_of_what_was_read(kind: KeyKind) -> None:
    content = b"a secret that nobody is to see, with a tail"
    with pytest.raises(KeyRefused) as refused:
        secret_of(kind, content)
    shown_too = refused.value.__cause__ or (not refused.value.__suppress_context__ and refused.value.__context__)
    assert not shown_too
    assert not any(shown in str(refused.value) for shown in ("a secret", content.hex()[:16], "nobody"))


def test_a_key_does_not_show_its_secret() -> None:
    assert "secret" not in repr(OpeningKey("kid", KeyKind.DIRECT, "till 1", b"a secret of 32 bytes............"))


def test_x25519_jwk_is_that_of_rfc_8037() -> None:
    # Private: RFC 7748, section 6.1, Bob's. Public: RFC 8037, appendix A.6, the same key.
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    made = public_jwk("Bob", KeyKind.X25519, x25519.X25519PrivateKey.from_private_bytes(bob))
    expected = {"kty": "OKP", "crv": "X25519", "kid": "Bob", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}
    assert made == expected | {"alg": "ECDH-ES", "use": "enc"}


def test_p_256_jwk_is_that_of_rfc_7517() -> None:
    # RFC 7517, appendix A.1 (public) and A.2 (private), key "1".
    private = ec.derive_private_key(
        int.from_bytes(_octets("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"), "big"), ec.SECP256R1()
    )
    expected = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "enc",
        "kid": "1",
    }
    assert public_jwk("1", KeyKind.P256, private) == expected | {"alg": "ECDH-ES"}


@pytest.mark.parametrize(
    ("kind", "library"),
    [
        (KeyKind.X25519, OKPKey),
        (KeyKind.ENROLMENT, OKPKey),
        (KeyKind.P256, ECKey),
        (KeyKind.RSA, RSAKey),
    ],
    ids=lambda value: getattr(value, "value", None),
)
def test_jwk_has_the_thumbprint_that_joserfc_gives_the_private_key(
    secrets: dict[KeyKind, Secret], kind: KeyKind, library: type[OKPKey | ECKey | RSAKey]
) -> None:
    made = public_jwk("kid", kind, secrets[kind])
    assert made is not None
    private = library.import_key(secret_bytes(secrets[kind]))
    assert JWKRegistry.import_key({**made}).thumbprint() == private.thumbprint()  # RFC 7638


@pytest.mark.parametrize("kind", [KeyKind.X25519, KeyKind.P256, KeyKind.RSA, KeyKind.ENROLMENT])
def test_jwk_holds_nothing_private(secrets: dict[KeyKind, Secret], kind: KeyKind) -> None:
    made = public_jwk("kid", kind, secrets[kind])
    assert made is not None
    assert not made.keys() & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # RFC 7518, section 6
    assert not JWKRegistry.import_key({**made}).is_private


def test_a_coordinate_that_begins_with_zeros_keeps_its_length() -> None:
    # RFC 7518, section 6.2.1.2: as many octets as the curve has. One key in 256 has such an x.
    keys = (ec.derive_private_key(number, ec.SECP256R1()) for number in itertools.count(1))
    private = next(key for key in keys if key.public_key().public_numbers().x >> 248 == 0)
    made = public_jwk("kid", KeyKind.P256, private)
    assert made is not None
    assert len(_octets(made["x"])) == 32


@pytest.mark.parametrize("kind", [KeyKind.DIRECT, KeyKind.LEGACY, KeyKind.AUTHORITY])
def test_what_nobody_seals_to_is_not_published(secrets: dict[KeyKind, Secret], kind: KeyKind) -> None:
    assert public_jwk("kid", kind, secrets[kind]) is None


def test_a_jwk_set_is_one_to_another_library(secrets: dict[KeyKind, Secret]) -> None:
    from joserfc.jwk import KeySet

    made = [public_jwk(kind.value, kind, secrets[kind]) for kind in (KeyKind.X25519, KeyKind.P256, KeyKind.RSA)]
    read = KeySet.import_key_set(jwk_set([jwk for jwk in made if jwk]))  # type: ignore[arg-type]
    assert [key.kid for key in read.keys] == ["x25519", "p-256", "rsa"]
