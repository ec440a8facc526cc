"""The protected header: what is allowed, and that nothing else is."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import MalformedEnvelope
from daemon.sealed.header import Algorithm, Header, header_of, is_photo_id, is_time
from tests.daemon.sealed.forgery import digits
from tests.vectors.cases import KEYS

DIRECT: dict[str, Any] = {"alg": "dir", "enc": "A256GCM", "kid": "k"}
RSA = DIRECT | {"alg": "RSA-OAEP-256"}
X25519 = DIRECT | {"alg": "ECDH-ES", "epk": {"kty": "OKP", "crv": "X25519", "x": KEYS["vector-x25519"]["x"]}}
P256_KEY = {"kty": "EC", "crv": "P-256", "x": KEYS["vector-p256"]["x"], "y": KEYS["vector-p256"]["y"]}
P256 = DIRECT | {"alg": "ECDH-ES", "epk": P256_KEY}


def _header(members: dict[str, Any]) -> Header:
    return header_of(json.dumps(members).encode())


def _reason(content: bytes | dict[str, Any]) -> str:
    with pytest.raises(MalformedEnvelope) as refused:
        header_of(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(refused.value)


def test_the_fewest_members_do() -> None:
    assert _header(DIRECT) == Header(Algorithm.DIRECT, "k", None, b"", b"", None, None)


@pytest.mark.parametrize("members", [DIRECT, RSA, X25519, P256], ids=["dir", "rsa", "x25519", "p-256"])
def test_every_algorithm_may_say_what_and_when(members: dict[str, Any]) -> None:
    header = _header(members | {"typ": "JWE", "cty": "image/jpeg", "iat": 1.5, "jti": "one"})
    assert (header.iat, header.jti) == (1.5, "one")


@pytest.mark.parametrize("typ", ["JWE", "jwe", "JOSE", "jose", "application/jose"])
def test_types_of_an_envelope_are_accepted(typ: str) -> None:
    assert _header(DIRECT | {"typ": typ}).kid == "k"


@pytest.mark.parametrize("typ", ["JWT", "JOSE+JSON", "", "JWE ", None, 1, ["JWE"]])
def test_other_types_are_refused(typ: object) -> None:
    assert "typ is" in _reason(DIRECT | {"typ": typ})


@pytest.mark.parametrize("cty", ["", "é", "a\0", "x" * 129, None, 1])
def test_content_types_that_are_no_text_are_refused(cty: object) -> None:
    assert "cty is not" in _reason(DIRECT | {"cty": cty})


FOREIGN = "zip crit jwk jku x5c x5t x5t#S256 x5u p2s p2c iv tag exp nbf b64 url Alg".split()  # noqa: SIM905 - as clear


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_member_is_refused(name: str) -> None:
    assert _reason(DIRECT | {name: "DEF"}) == f"not allowed in the header: '{name}'"


@pytest.mark.parametrize("name", ["epk", "apu", "apv"])
@pytest.mark.parametrize("members", [DIRECT, RSA], ids=["dir", "rsa"])
def test_members_of_an_agreement_are_refused_without_one(name: str, members: dict[str, Any]) -> None:
    assert _reason(members | {name: X25519["epk"] if name == "epk" else "QQ"}) == f"not allowed in the header: '{name}'"


@pytest.mark.parametrize("name", ["alg", "enc", "kid", "epk"])
def test_a_missing_member_is_named(name: str) -> None:
    reason = _reason({member: value for member, value in P256.items() if member != name})
    assert reason.startswith("alg is None" if name == "alg" else f"missing in the header: {name}")


ALGORITHMS = ["none", "RSA1_5", "RSA-OAEP", "RSA-OAEP-512", "ECDH-ES+A256KW", "PBES2-HS256+A128KW", "A256KW", "DIR"]


@pytest.mark.parametrize("alg", [*ALGORITHMS, "", None, 1, ["dir"], {"dir": 1}, True])
def test_other_algorithms_are_refused(alg: object) -> None:
    assert "alg is" in _reason(DIRECT | {"alg": alg})


@pytest.mark.parametrize("enc", ["A128GCM", "A192GCM", "A256CBC-HS512", "a256gcm", "", None, 1, ["A256GCM"]])
def test_other_encryptions_are_refused(enc: object) -> None:
    assert "enc is" in _reason(DIRECT | {"enc": enc})


@pytest.mark.parametrize("kid", ["", "k" * 129, "k k", "k\0", "ké", "\ud800", "\u0661", None, 1, ["k"]])
def test_a_key_id_that_is_no_short_visible_text_is_refused(kid: object) -> None:
    assert "kid is not" in _reason(DIRECT | {"kid": kid})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"alg":"dir","alg":"dir","enc":"A256GCM","kid":"k"}', id="same value"),
        pytest.param(b'{"alg":"dir","enc":"A256GCM","kid":"k","\\u0061lg":"none"}', id="spelled with an escape"),
        pytest.param(json.dumps(X25519).replace('"crv"', '"crv":"P-256","crv"').encode(), id="inside epk"),
        pytest.param(b'{"zip":1,"zip":2}', id="foreign"),
    ],
)
def test_a_member_given_twice_is_refused(content: bytes) -> None:
    assert _reason(content) == "a header member is given twice"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"alg":"dir",}', id="a comma too many"),
        pytest.param(b"{'alg':'dir'}", id="single quotes"),
        pytest.param(b'{"alg":"dir"}x', id="something behind"),
        pytest.param(b'\xef\xbb\xbf{"alg":"dir"}', id="a byte order mark"),
        pytest.param(json.dumps(DIRECT).encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"alg":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"alg":"\xc1\xa1"}', id="overlong UTF-8"),
        pytest.param(b'{"alg":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b'{"alg":"a\nb"}', id="a bare line end in a text"),
        pytest.param(b'{"iat":NaN}', id="NaN"),
        pytest.param(b'{"iat":-Infinity}', id="minus infinity"),
        pytest.param(b'{"iat":01}', id="a leading zero"),
        pytest.param(b"[" * 4096, id="deep lists"),
        pytest.param(b'{"a":' * 800, id="deep objects"),
    ],
)
def test_what_is_no_strict_json_is_refused(content: bytes) -> None:
    assert _reason(content) == "the header is not strict JSON in UTF-8"


@pytest.mark.parametrize("content", [b"null", b"[]", b'"dir"', b"1", b"[" * 90 + b"]" * 90])
def test_json_that_is_no_object_is_refused(content: bytes) -> None:
    assert _reason(content) == "the header is no JSON object"


def test_a_header_has_at_most_4096_bytes() -> None:
    honest = json.dumps(DIRECT).encode()
    assert header_of(honest + b" " * (4096 - len(honest))).kid == "k"
    assert _reason(honest + b" " * (4097 - len(honest))) == "the header has more than 4096 bytes"


@pytest.mark.parametrize(
    "epk",
    [
        pytest.param(None, id="null"),
        pytest.param([P256_KEY], id="a list"),
        pytest.param({}, id="empty"),
        pytest.param(P256_KEY | {"d": KEYS["vector-p256"]["d"]}, id="with its private half"),
        pytest.param(P256_KEY | {"kid": "k"}, id="with an id"),
        pytest.param(P256_KEY | {"crv": "P-384"}, id="another curve"),
        pytest.param(P256_KEY | {"crv": "X25519"}, id="an EC key on X25519"),
        pytest.param(X25519["epk"] | {"crv": "Ed25519"}, id="a signing curve"),
        pytest.param(X25519["epk"] | {"y": P256_KEY["y"]}, id="X25519 with y"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": P256_KEY["x"]}, id="P-256 without y"),
        pytest.param(P256_KEY | {"x": digits(bytes(31))}, id="a short coordinate"),
        pytest.param(P256_KEY | {"y": digits(bytes(33))}, id="a long coordinate"),
        pytest.param(P256_KEY | {"y": P256_KEY["y"] + "="}, id="padding"),
        pytest.param(P256_KEY | {"y": P256_KEY["y"][:-1] + "x"}, id="unused bits"),
        pytest.param(P256_KEY | {"x": 1}, id="a number"),
        pytest.param(P256_KEY | {"x": [P256_KEY["x"]]}, id="a list of coordinates"),
        pytest.param(P256_KEY | {"kty": ["EC"]}, id="a list of types"),
    ],
)
def test_a_sender_key_that_is_not_exactly_as_it_must_be_is_refused(epk: object) -> None:
    assert "epk" in (reason := _reason(P256 | {"epk": epk})) or reason == "not canonical base64url"


@pytest.mark.parametrize("name", ["apu", "apv"])
@pytest.mark.parametrize("value", ["A", "QQ==", "QR", "+/8", "é", None, 1, ["QQ"], digits(bytes(257))])
def test_a_party_that_is_not_short_canonical_base64url_is_refused(name: str, value: object) -> None:
    assert name in (reason := _reason(X25519 | {name: value})) or reason == "not canonical base64url"


def test_a_party_of_256_bytes_is_accepted() -> None:
    assert _header(X25519 | {"apu": digits(bytes(256)), "apv": ""}).apu == bytes(256)


@pytest.mark.parametrize(
    "text", ["-1", "true", '"1764000000"', "null", "[]", "1e400", "253402300800", "9" * 3000, "-0.1"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    assert "iat is not" in _reason(f'{json.dumps(DIRECT)[:-1]},"iat":{text}}}'.encode())


@pytest.mark.parametrize("value", [0, 1_764_000_000, 1_764_000_000.25, 253_402_300_799])
def test_a_time_is_unix_seconds_up_to_the_year_9999(value: float) -> None:
    assert is_time(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None, 10**400])
def test_what_is_no_number_of_seconds_is_no_time(value: object) -> None:
    assert not is_time(value)


@pytest.mark.parametrize("value", ["", "j" * 65, "a b", "a\n", "é", 1, None, True])
def test_an_id_of_a_photo_is_short_visible_text(value: object) -> None:
    assert not is_photo_id(value)
    assert "jti is not" in _reason(DIRECT | {"jti": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["alg", "enc", "kid", "epk", "apu", "apv", "typ", "cty", "iat", "jti", "zip"])


@given(st.dictionaries(NAMES | st.text(), JSON | st.sampled_from(["dir", "ECDH-ES", "A256GCM", P256_KEY])))
def test_whatever_json_says_it_is_a_header_or_refused(members: dict[str, Any]) -> None:
    try:
        header = header_of(json.dumps(DIRECT | members).encode())
    except MalformedEnvelope:
        return
    assert set(header.kid) <= set(string.printable)


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_nothing_but_a_refusal_comes(content: bytes) -> None:
    assert _reason(content) != ""
