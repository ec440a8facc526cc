"""The inspector says of a sealed photo what the daemon would find before it needs a key, and nothing more."""

from __future__ import annotations

import dataclasses
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from daemon.config import Config, Freshness
from daemon.errors import MalformedEnvelope
from daemon.sealed.envelope import take_apart
from daemon.sealed.keys import KeyKind, public_jwk
from daemon.sealed.legacy import LegacyFormat
from tools.inspection import inspect
from tools.key_making import as_jwk, make_key
from tools.sealing import jwe_sealer

_PHOTO = b"Not a photo."


def _sealed(kind: KeyKind, photo: bytes = _PHOTO) -> tuple[str, str]:
    """A key id, and a photo sealed to that key."""
    key = make_key(kind, "till-3" if kind is KeyKind.DIRECT else None)
    return key.kid, jwe_sealer(public_jwk(key.kid, kind, key.secret) or as_jwk(key))(photo)


def _with_header(text: str, change: dict[str, Any]) -> str:
    """The same with other members in its header; what is None is taken out."""
    digits, _, rest = text.partition(".")
    members = json.loads(urlsafe_b64decode(digits + "=" * (-len(digits) % 4))) | change
    content = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
    return f"{urlsafe_b64encode(content).decode().rstrip('=')}.{rest}"


@pytest.mark.parametrize(
    ("kind", "alg", "curve", "encrypted_key_bytes"),
    # Sizes by hand: RFC 7518, sections 4.3 (a key of 3072 bits), 4.5 and 4.6.
    [
        (KeyKind.X25519, "ECDH-ES", "X25519", 0),
        (KeyKind.P256, "ECDH-ES", "P-256", 0),
        (KeyKind.RSA, "RSA-OAEP-256", None, 384),
        (KeyKind.DIRECT, "dir", None, 0),
    ],
)
def test_a_jwe_is_told_by_its_header_and_sizes(
    kind: KeyKind, alg: str, curve: str | None, encrypted_key_bytes: int
) -> None:
    kid, text = _sealed(kind)
    told = inspect(text, None)
    assert (told["format"], told["alg"], told["enc"], told["kid"]) == ("jwe", alg, "A256GCM", kid)
    assert (told.get("curve"), told["encrypted_key_bytes"]) == (curve, encrypted_key_bytes)
    assert (told["iv_bytes"], told["photo_bytes"], told["tag_bytes"]) == (12, len(_PHOTO), 16)
    assert told["text_bytes"] == len(text)
    assert told["refused"] is False
    assert "code" not in told


def test_the_time_of_sealing_is_told_in_utc() -> None:
    text = _with_header(_sealed(KeyKind.X25519)[1], {"iat": 1_764_000_000})
    # Source: date --utc --date=@1764000000
    assert inspect(text, None)["sealed_utc"] == "2025-11-24T16:00:00+00:00"


def test_a_legacy_photo_is_told_by_its_sizes(legacy: LegacyFormat) -> None:
    told = inspect(legacy.seal(_PHOTO), None)
    assert (told["format"], told["photo_bytes"], told["tag_bytes"]) == ("legacy", len(_PHOTO), 16)
    assert (told["canonical"], told["spaces_read_as_plus"], told["refused"]) == (True, 0, False)


@pytest.mark.parametrize("size", range(1, 8))
def test_the_size_of_a_legacy_photo_is_right_for_every_padding(legacy: LegacyFormat, size: int) -> None:
    assert inspect(legacy.seal(bytes(size)), None)["photo_bytes"] == size


def test_plus_signs_that_a_form_decoder_took_are_counted_and_no_fault(legacy: LegacyFormat) -> None:
    text = legacy.seal(bytes(1000))
    assert text.count("+") > 0
    told = inspect(text.replace("+", " "), None)
    assert (told["spaces_read_as_plus"], told["refused"]) == (text.count("+"), False)


_X25519 = _sealed(KeyKind.X25519)[1]


@pytest.mark.parametrize(
    "text",
    [
        _with_header(_X25519, {"alg": "RSA1_5", "epk": None}),
        _with_header(_X25519, {"alg": "none"}),
        _with_header(_X25519, {"enc": "A128GCM"}),
        _with_header(_X25519, {"zip": "DEF"}),
        _with_header(_X25519, {"kid": None}),
        _with_header(_X25519, {"epk": {"kty": "OKP", "crv": "X25519", "x": "AAAA", "d": "c2VjcmV0"}}),
        _X25519.rpartition(".")[0],
        _X25519 + "A",
        _X25519[:-1],
        "a.b.c.d.e",
        "....",
        ".",
    ],
    ids=range(12),
)
def test_what_the_daemon_finds_without_a_key_is_told_in_its_words(text: str) -> None:
    with pytest.raises(MalformedEnvelope) as refused:
        take_apart(text)
    told = inspect(text, None)
    assert (told["refused"], told["code"], told["why"]) == (True, 1200, str(refused.value))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("####", "not base64"),
        ("QUJD\nQUJD", "not base64"),
        ("A" * 30, "not base64"),
        ("A" * 30 + "B=", "not canonical base64"),
        ("", "0 bytes are too few for the tag of 16"),
        ("QUJD", "3 bytes are too few for the tag of 16"),
    ],
)
def test_a_legacy_photo_that_is_none_is_told_why(text: str, why: str) -> None:
    told = inspect(text, None)
    assert (told["refused"], told["code"], told["why"]) == (True, 1200, why)


@pytest.mark.parametrize(("size", "refused"), [(0, True), (1, False), (5 << 20, False), ((5 << 20) + 1, True)])
def test_the_size_of_the_photo_is_held_against_the_limits(legacy: LegacyFormat, size: int, refused: bool) -> None:
    for text in (legacy.seal(bytes(size)), _sealed(KeyKind.DIRECT, bytes(size))[1]):
        told = inspect(text, None)
        assert (told["refused"], told.get("code")) == (refused, 2004 if refused else None)


def _device(config: Config, **sealed: Any) -> Config:  # noqa: ANN401 - the section's own types
    """A device whose section `sealed` says something else."""
    return dataclasses.replace(config, sealed=dataclasses.replace(config.sealed, **sealed))


def test_a_format_that_the_device_has_off_is_told(config: Config, legacy: LegacyFormat) -> None:
    assert "sealed.legacy" in inspect(legacy.seal(_PHOTO), _device(config, legacy=False))["why"]
    assert "sealed.jwe" in inspect(_X25519, _device(config, jwe=False))["why"]
    assert inspect(legacy.seal(_PHOTO), config)["refused"] is inspect(_X25519, config)["refused"] is False


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"iat": None}, "wants iat in the header"),
        ({"iat": None, "jti": None}, "wants iat and jti in the header"),
        ({"iat": int(time.time()) - 3600}, "seconds ago, by this clock"),
        ({"iat": int(time.time()) + 3600}, "seconds ago, by this clock"),
    ],
)
def test_a_photo_that_is_not_fresh_is_told(config: Config, change: dict[str, Any], why: str | None) -> None:
    device = _device(config, freshness=Freshness(max_age_s=600.0, clock_skew_s=60.0, remembered=10))
    told = inspect(_with_header(_sealed(KeyKind.X25519)[1], change), device)
    assert told["refused"] is (why is not None)
    assert (why or "") in told.get("why", "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("QUJD%2BQUJD", "percent-encoded"),
        ("QUJD\r\nQUJD", "line breaks"),
        ("data:image/jpeg;base64,QUJD", "data URL"),
        ('{"protected": "e30.", "ciphertext": ""}', "compact serialisation"),
        ('"QUJD"', "quotes"),
        ("QUJ-_UJD", "base64url"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAA=====", "not sealed"),
    ],
)
def test_what_often_goes_wrong_is_hinted_at(text: str, hint: str) -> None:
    told = inspect(text, None)
    assert told["refused"] is True
    assert hint in told["hints"]


def test_the_photo_itself_is_no_sealed_photo(samples: dict[str, bytes]) -> None:
    told = inspect(samples["obama"].decode("utf-8", "replace"), None)
    assert (told["format"], told["refused"], told["code"]) == ("none", True, 1200)


def test_values_that_nobody_knows_are_not_repeated() -> None:
    private = {"kty": "OKP", "crv": "X25519", "x": "AAAA", "d": "c2VjcmV0"}
    told = inspect(_with_header(_X25519, {"epk": private, "password": "c2VjcmV0", "kid": ["c2VjcmV0"]}), None)
    assert told["header"]["password"] == told["header"]["epk"] == "..."
    assert "c2VjcmV0" not in json.dumps(told)


def test_a_header_cannot_write_to_the_terminal() -> None:
    told = inspect(_with_header(_X25519, {"kid": "\x1b[2J", "\x1b[2J": 1}), None)
    assert "\x1b" not in "".join(map(str, told.values()))
    assert told["kid"] == r"'\x1b[2J'"


def test_a_header_of_any_length_is_shown_in_part() -> None:
    many = {f"member {number}": "x" * 10_000 for number in range(1000)} | {"kid": "k" * 10_000}
    assert len(json.dumps(inspect(_with_header(_X25519, many), None))) < 10_000
