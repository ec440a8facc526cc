"""Keys are made strong and of their kind; those that others made are taken in only where they are strong, too."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey

from daemon.errors import KeyRefused
from daemon.sealed.keys import KeyKind, public_jwk, secret_bytes, secret_of
from daemon.sealed.keystore import KID_PATTERN
from daemon.sealed.legacy import LegacyFormat, LegacyKey
from tests.key_stores import TERMINAL
from tools.key_making import as_jwk, day, key_of_jwk, make_key, published_key

Jwk = dict[str, Any]


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _private(jwk: OKPKey | ECKey | RSAKey, **more: str) -> Jwk:
    return {**jwk.as_dict(private=True), **more}


_DIRECT: Jwk = {"kty": "oct", "alg": "dir", "kid": "till-1", "k": _text(bytes(range(32)))}
_LEGACY: Jwk = {"kty": "oct", "alg": "legacy", "kid": "old", "k": _text(b"k" * 32), "iv": _text(b"i" * 12)}


@pytest.mark.parametrize("kind", KeyKind)
def test_a_made_key_is_of_its_kind_with_an_id_that_says_so(kind: KeyKind) -> None:
    key = make_key(kind)
    secret_of(kind, secret_bytes(key.secret))
    assert key.kind is kind
    assert re.fullmatch(KID_PATTERN, key.kid)
    assert re.fullmatch(rf"{kind.value}-20\d{{6}}-[0-9a-f]{{6}}", key.kid)


def test_a_made_rsa_key_has_the_strength_of_the_others() -> None:
    secret = make_key(KeyKind.RSA).secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    assert secret.key_size == 3072  # NIST SP 800-57 part 1, table 2: 128 bits of security


@pytest.mark.parametrize("kind", [KeyKind.X25519, KeyKind.P256, KeyKind.DIRECT, KeyKind.LEGACY])
def test_no_two_made_keys_are_alike(kind: KeyKind) -> None:
    keys = [make_key(kind) for _ in range(20)]
    assert len({key.kid for key in keys}) == len({secret_bytes(key.secret) for key in keys}) == 20


def test_a_legacy_key_is_text_that_a_form_carries_as_it_is() -> None:
    assert re.fullmatch(rb"[A-Za-z0-9]{44}", secret_bytes(make_key(KeyKind.LEGACY).secret))


def test_what_a_terminal_is_given_of_a_direct_key_is_a_jwk_that_seals_alike() -> None:
    key = make_key(KeyKind.DIRECT, TERMINAL)
    given = as_jwk(key)
    assert OctKey.import_key({name: given[name] for name in ("kty", "k")}).raw_value == key.secret
    assert (given["alg"], given["kid"]) == ("dir", key.kid)


def test_what_a_terminal_is_given_of_a_legacy_key_is_key_and_iv_as_text() -> None:
    key = make_key(KeyKind.LEGACY)
    given = as_jwk(key)
    assert isinstance(key.secret, bytes)
    sealed = LegacyFormat(LegacyKey(given["key"].encode(), given["iv"].encode())).seal(b"photo")
    assert LegacyFormat(LegacyKey.of(key.secret)).open(sealed) == b"photo"


def test_the_published_key_is_known_as_such() -> None:
    key = published_key()
    assert isinstance(key.secret, bytes)
    assert LegacyKey.of(key.secret).published


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (KeyKind.X25519, lambda: OKPKey.generate_key("X25519", private=True)),
        (KeyKind.P256, lambda: ECKey.generate_key("P-256", private=True)),
        (KeyKind.RSA, lambda: RSAKey.generate_key(2048, private=True)),
    ],
    ids=["x25519", "p-256", "rsa"],
)
def test_a_private_key_made_by_another_library_is_taken_in_as_it_is(kind: KeyKind, made: Any) -> None:  # noqa: ANN401
    theirs = made()
    alg = {"alg": "RSA-OAEP-256"} if kind is KeyKind.RSA else {"alg": "ECDH-ES"}
    key = key_of_jwk(json.dumps(_private(theirs, kid="made-elsewhere", **alg)).encode(), None)
    assert (key.kid, key.kind, key.terminal) == ("made-elsewhere", kind, None)
    ours = public_jwk(key.kid, key.kind, key.secret)
    assert ours is not None
    assert JWKRegistry.import_key({**ours}).thumbprint() == theirs.thumbprint()


def test_a_direct_key_is_taken_in_for_its_terminal() -> None:
    key = key_of_jwk(json.dumps(_DIRECT).encode(), TERMINAL)
    assert (key.kid, key.kind, key.terminal, key.secret) == ("till-1", KeyKind.DIRECT, TERMINAL, bytes(range(32)))


def test_a_legacy_key_is_taken_in_with_its_iv() -> None:
    key = key_of_jwk(json.dumps(_LEGACY).encode(), None)
    assert (key.kind, key.secret) == (KeyKind.LEGACY, b"k" * 32 + b"i" * 12)


def test_a_key_without_an_id_gets_one() -> None:
    key = key_of_jwk(json.dumps({name: value for name, value in _DIRECT.items() if name != "kid"}).encode(), TERMINAL)
    assert key.kid.startswith("dir-20")


def _sent(jwk: Jwk) -> bytes:
    return json.dumps(jwk).encode()


_X25519 = _private(OKPKey.generate_key("X25519", private=True), alg="ECDH-ES")
_REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"not JSON",
    "no object": b"[1]",
    "nested without end": b"[" * 100_000,
    "bytes": b"\xff\xfe",
    "a number": b"7",
    "no members": b"{}",
    "a public key": _sent({name: value for name, value in _X25519.items() if name != "d"}),
    "a foreign alg": _sent(_DIRECT | {"alg": "A128KW"}),
    "an alg that is no text": _sent(_DIRECT | {"alg": ["dir"]}),
    "a foreign curve": _sent(_private(ECKey.generate_key("P-384", private=True), alg="ECDH-ES")),
    "a signing key": _sent(_private(OKPKey.import_key(ed25519.Ed25519PrivateKey.generate()), alg="EdDSA")),
    "a curve of another key": _sent(_X25519 | {"crv": "P-256"}),
    "a private part cut": _sent(_X25519 | {"d": _X25519["d"][:-3]}),
    "a direct key cut": _sent(_DIRECT | {"k": _text(bytes(31))}),
    "a direct key too long": _sent(_DIRECT | {"k": _text(bytes(33))}),
    "a direct key that is no text": _sent(_DIRECT | {"k": 7}),
    "a legacy key without IV": _sent({name: value for name, value in _LEGACY.items() if name != "iv"}),
    "a legacy key that lends its IV a byte": _sent(_LEGACY | {"k": _text(b"k" * 31), "iv": _text(b"i" * 13)}),
    "a legacy key that borrows a byte": _sent(_LEGACY | {"k": _text(b"k" * 33), "iv": _text(b"i" * 11)}),
}


@pytest.mark.parametrize("text", _REFUSED.values(), ids=_REFUSED)
def test_what_is_no_key_of_the_device_is_refused(text: bytes) -> None:
    with pytest.raises(KeyRefused) as refused:
        key_of_jwk(text, TERMINAL)
    assert refused.value.remedy
    assert _X25519["d"][:8] not in str(refused.value)


@pytest.mark.parametrize("bits", [1024, 2040])
def test_a_weak_rsa_key_is_refused(bits: int) -> None:
    with pytest.raises(KeyRefused, match="another kind or size"):
        key_of_jwk(_sent(_rsa_jwk(rsa.generate_private_key(65537, bits))), None)


def _rsa_jwk(private: rsa.RSAPrivateKey) -> Jwk:
    """By hand: RFC 7518, section 6.3."""
    numbers = private.private_numbers()
    public = numbers.public_numbers
    members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    members |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    texts = {name: _text(number.to_bytes(-(-number.bit_length() // 8), "big")) for name, number in members.items()}
    return {"kty": "RSA", "alg": "RSA-OAEP-256"} | texts


def test_an_rsa_key_whose_parts_do_not_fit_is_refused() -> None:
    jwk = _rsa_jwk(rsa.generate_private_key(65537, 2048)) | {"d": _rsa_jwk(rsa.generate_private_key(65537, 2048))["d"]}
    with pytest.raises(KeyRefused, match="no private JWK"):
        key_of_jwk(_sent(jwk), None)


def test_a_p_256_key_whose_point_is_another_s_is_refused() -> None:
    one, other = (_private(ECKey.import_key(ec.generate_private_key(ec.SECP256R1()))) for _ in range(2))
    with pytest.raises(KeyRefused, match="no private JWK"):
        key_of_jwk(_sent(one | {"d": other["d"]}), None)


def test_the_public_half_of_an_x25519_key_is_that_of_its_private_one() -> None:
    other = _private(OKPKey.import_key(x25519.X25519PrivateKey.generate()))
    key = key_of_jwk(_sent(_X25519 | {"x": other["x"]}), None)
    ours = public_jwk(key.kid, key.kind, key.secret)
    assert ours is not None
    assert ours["x"] == _X25519["x"]


def test_a_day_is_read_and_another_text_is_not() -> None:
    assert day("2030-01-31").isoformat() == "2030-01-31"
    with pytest.raises(ValueError, match=r"isoformat"):
        day("31.1.2030")
