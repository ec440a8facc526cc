"""Opening JWE: what foreign sealers seal opens, and everything else gives one answer after the same work."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Freshness
from daemon.errors import SealedPhotoRefused, TryLater
from daemon.sealed.envelope import take_apart
from daemon.sealed.freshness import FreshPhotos
from daemon.sealed.jwe import JweFormat, decrypted
from daemon.sealed.keys import KeyKind, OpeningKey, public_jwk
from tests.daemon.sealed.forgery import PHOTO, ring_of, sealing_to
from tests.daemon.sealed.mutations import Mutator
from tests.vectors.cases import KEYS, TERMINAL, opening_keys, photo_of, text_of, vectors
from tools.sealing import seal

MUTATIONS = int(os.environ.get("FACEVERIFYD_MUTATIONS", "20000"))
"""How many envelopes are tried; more, where there is time."""

OWN = opening_keys()
RING = ring_of(OWN, TERMINAL)
FORMAT = JweFormat(None)
NOW = 1_764_000_000


def _refusal(text: str, keys: dict[str, OpeningKey] | None = None, sender: str = TERMINAL) -> tuple[Any, ...]:
    """All that a caller can tell of a refusal."""
    with pytest.raises(SealedPhotoRefused) as refused:
        FORMAT.open(text, RING if keys is None else keys, sender)
    error = refused.value
    return type(error), str(error), error.args, error.__cause__, error.__context__, error.__suppress_context__


ONE_REFUSAL = _refusal("")


def _forged(to: str, /, **members: object) -> str:
    sealing = sealing_to(RING[to])
    return sealing.seal(json.dumps(sealing.header | members).encode())


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: str(vector["name"]))
def test_what_a_foreign_sealer_sealed_opens(vector: dict[str, Any]) -> None:
    assert FORMAT.open(vector["text"], OWN, TERMINAL) == photo_of(vector)


@pytest.mark.parametrize("size", [0, 1, 300_000, 5 << 20])
@pytest.mark.parametrize("kid", KEYS)
def test_what_fvctl_seals_opens(kid: str, size: int) -> None:
    photo = os.urandom(size)
    key = public_jwk(kid, OWN[kid].kind, OWN[kid].secret) or KEYS[kid]
    assert FORMAT.open(seal(photo, key, {"iat": NOW, "jti": "one"}), OWN, TERMINAL) == photo


@pytest.mark.parametrize("kid", KEYS)
def test_a_forgery_with_an_honest_header_opens(kid: str) -> None:
    # What makes every refusal of a forgery below mean something.
    assert FORMAT.open(_forged(kid, cty="image/jpeg", typ="JOSE", iat=NOW, jti="one"), RING, TERMINAL) == PHOTO


def test_a_key_of_the_terminal_itself_opens() -> None:
    assert FORMAT.open(_forged("foreign-p256"), RING, "another") == PHOTO


@pytest.mark.parametrize(
    "kid", ["foreign-x25519", "foreign-p256", "foreign-dir", "shared-dir", "legacy", "enrolment", "authority"]
)
def test_a_key_that_is_not_for_this_terminal_or_not_for_photos_does_not_open(kid: str) -> None:
    assert _refusal(_forged(kid)) == ONE_REFUSAL


def test_a_symmetric_key_opens_for_its_terminal_only() -> None:
    text = _forged("foreign-dir")
    assert FORMAT.open(text, RING, "another") == PHOTO
    assert _refusal(text) == ONE_REFUSAL


@pytest.mark.parametrize("kid", KEYS)
def test_an_unknown_key_id_does_not_open_though_the_device_has_the_key(kid: str) -> None:
    assert _refusal(_forged(kid, kid="unknown")) == ONE_REFUSAL


@pytest.mark.parametrize("kid", KEYS)
def test_a_photo_to_a_key_that_is_gone_does_not_open(kid: str) -> None:
    assert _refusal(_forged(kid), {other: key for other, key in RING.items() if other != kid}) == ONE_REFUSAL


@pytest.mark.parametrize("kid", KEYS)
def test_without_any_key_nothing_opens(kid: str) -> None:
    assert _refusal(_forged(kid), {}) == ONE_REFUSAL


def _wrong(kid: str) -> Iterator[str]:
    parts = _forged(kid).split(".")
    yield ".".join([*parts[:4], parts[4][:-1] + ("Q" if parts[4][-1] == "A" else "A")])
    yield ".".join([*parts[:3], parts[3][:-4], parts[4]])
    yield ".".join([*parts[:2], "B" * 16, *parts[3:]])
    yield ".".join([*_forged(kid).split(".")[:3], *parts[3:]])
    yield _forged(kid, kid=f"other-{kid.partition('-')[2]}")


@pytest.mark.parametrize("kid", KEYS)
def test_whatever_is_wrong_the_refusal_is_the_same(kid: str) -> None:
    assert {_refusal(text) for text in _wrong(kid)} == {ONE_REFUSAL}


@pytest.mark.parametrize("sealer", ["joserfc", "node-jose", "java"])
@pytest.mark.parametrize("kid", KEYS)
def test_no_other_text_opens_what_a_text_opens(sealer: str, kid: str) -> None:
    text = text_of(f"{sealer}: {kid}")
    for place in range(len(text) + 1):
        before, after = text[:place], text[place + 1 :]
        changed = {before + digit + after for digit in "A-._=+"} | {before + digit + text[place:] for digit in "A.= "}
        flipped = (
            {before + chr(ord(text[place]) ^ 1 << bit) + after for bit in range(7)} if place < len(text) else set()
        )
        for other in (changed | flipped | {before + after}) - {text}:
            assert _refusal(other) == ONE_REFUSAL, other


def test_mutated_envelopes_are_refused_and_nothing_else(record_property: Any) -> None:  # noqa: ANN401 - pytest's
    texts = [str(vector["text"]) for vector in vectors()]
    mutator = Mutator(random.Random(20), texts, RING, list(OWN))  # noqa: S311 - to be drawn again
    slowest, kinds = (0.0, ""), Counter[str]()
    for kind, text in mutator.drawn(MUTATIONS):
        start = time.perf_counter()
        refusal = _refusal(text)
        slowest = max(slowest, (time.perf_counter() - start, kind))
        assert refusal == ONE_REFUSAL, (kind, text)
        kinds[kind] += 1
    record_property("slowest", slowest)
    assert len(kinds) == 21
    assert slowest[0] < 2  # a hang, not a speed


@given(st.text(max_size=300) | st.from_regex(r"([A-Za-z0-9_-]{0,30}\.){4}[A-Za-z0-9_-]{22}", fullmatch=True))
def test_whatever_the_text_is_nothing_but_a_refusal_comes(text: str) -> None:
    assert _refusal(text) == ONE_REFUSAL


MEMBERS = (
    st.sampled_from(["alg", "enc", "kid", "epk", "apu", "apv", "typ", "cty", "iat", "jti", "zip", "crit"]) | st.text()
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(st.dictionaries(MEMBERS, VALUES, max_size=3))
def test_whatever_the_header_says_a_right_tag_opens_to_the_photo_or_is_refused(members: dict[str, Any]) -> None:
    try:
        assert FORMAT.open(_forged("vector-dir", **members), RING, TERMINAL) == PHOTO
    except SealedPhotoRefused:
        assert members != {}


class CountingKey(rsa.RSAPrivateKey):
    """An RSA key that counts how often it was used on a number that costs the whole operation."""

    def __init__(self, secret: rsa.RSAPrivateKey) -> None:
        self._secret = secret
        self.used = 0

    def decrypt(self, ciphertext: bytes, padding: AsymmetricPadding) -> bytes:
        """See RSAPrivateKey."""
        fits = int.from_bytes(ciphertext, "big") < self.public_key().public_numbers().n
        self.used += fits and len(ciphertext) == self.key_size // 8
        return self._secret.decrypt(ciphertext, padding)

    @property
    def key_size(self) -> int:
        """See RSAPrivateKey."""
        return self._secret.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """See RSAPrivateKey."""
        return self._secret.public_key()

    def sign(self, *_: Any) -> bytes:  # noqa: ANN401 - never called
        """See RSAPrivateKey."""
        raise NotImplementedError

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """See RSAPrivateKey."""
        raise NotImplementedError

    def private_bytes(self, encoding: Encoding, format: PrivateFormat, encryption_algorithm: Any) -> bytes:  # noqa: A002, ANN401 - as it is there
        """See RSAPrivateKey."""
        raise NotImplementedError

    def __copy__(self) -> CountingKey:
        raise NotImplementedError

    def __deepcopy__(self, memo: dict[Any, Any]) -> CountingKey:
        raise NotImplementedError


@pytest.mark.parametrize("kid", ["vector-rsa", "unknown", "vector-x25519", "foreign-rsa"])
def test_whatever_the_key_id_one_private_operation_is_done(kid: str) -> None:
    secret = RING["vector-rsa"].secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    counting = CountingKey(secret)
    keys = RING | {
        "vector-rsa": OpeningKey("vector-rsa", KeyKind.RSA, None, counting),
        "foreign-rsa": OpeningKey("foreign-rsa", KeyKind.RSA, "another", secret),
    }
    text = _forged("vector-rsa", kid=kid)
    if kid == "vector-rsa":
        assert FORMAT.open(text, keys, TERMINAL) == PHOTO
    else:
        assert _refusal(text, keys) == ONE_REFUSAL
    assert counting.used == 1


@pytest.mark.parametrize("kid", ["vector-rsa", "unknown"])
def test_a_number_beyond_the_modulus_costs_the_whole_operation_too(kid: str) -> None:
    # Refused at once, it would tell by which key's modulus: that of the id, or that of a stand-in.
    secret = RING["vector-rsa"].secret
    assert isinstance(secret, rsa.RSAPrivateKey)
    counting = CountingKey(secret)
    sealing = dataclasses.replace(sealing_to(RING["vector-rsa"]), encrypted_key=b"\xff" * 256)
    text = sealing.seal(json.dumps(sealing.header | {"kid": kid}).encode())
    assert _refusal(text, RING | {"vector-rsa": OpeningKey("vector-rsa", KeyKind.RSA, None, counting)}) == ONE_REFUSAL
    assert counting.used == 1


@pytest.fixture(scope="module")
def longer() -> rsa.RSAPrivateKey:
    """An RSA key of another size than the ring's."""
    return rsa.generate_private_key(65537, 3072)


def test_the_operation_is_done_with_a_key_as_long_as_the_message(longer: rsa.RSAPrivateKey) -> None:
    counting = CountingKey(longer)
    sealing = sealing_to(OpeningKey("longer", KeyKind.RSA, None, longer))
    text = sealing.seal(json.dumps(sealing.header | {"kid": "vector-rsa"}).encode())
    assert _refusal(text, RING | {"longer": OpeningKey("longer", KeyKind.RSA, None, counting)}) == ONE_REFUSAL
    assert counting.used == 1


def test_an_encrypted_key_as_long_as_no_key_of_the_device_is_refused(longer: rsa.RSAPrivateKey) -> None:
    sealing = sealing_to(OpeningKey("vector-rsa", KeyKind.RSA, None, longer))
    assert _refusal(sealing.seal(json.dumps(sealing.header).encode())) == ONE_REFUSAL


def test_a_wrong_tag_leaves_only_zeros() -> None:
    text = text_of("java: vector-dir")
    parts = take_apart(text)
    parts.sealed[-1] ^= 1
    photo = bytearray(b"\1" * (len(parts.sealed) - 16))
    assert not decrypted(parts, bytearray(range(32)), photo)
    assert photo == bytes(len(photo))


def test_a_key_that_is_none_leaves_only_zeros() -> None:
    parts = take_apart(text_of("java: vector-dir"))
    photo = bytearray(b"\1" * (len(parts.sealed) - 16))
    with pytest.raises(ValueError, match="key"):
        decrypted(parts, bytearray(5), photo)
    assert photo == bytes(len(photo))


def _fresh(remembered: int = 10) -> JweFormat:
    times = iter([NOW - 1000.0])
    return JweFormat(FreshPhotos(Freshness(60.0, 5.0, remembered), lambda: next(times, float(NOW))))


def test_a_fresh_photo_opens_once() -> None:
    fresh, text = _fresh(), _forged("vector-x25519", iat=NOW, jti="one")
    assert fresh.open(text, RING, TERMINAL) == PHOTO
    with pytest.raises(SealedPhotoRefused):
        fresh.open(text, RING, TERMINAL)


@pytest.mark.parametrize("members", [{}, {"iat": NOW}, {"jti": "one"}, {"iat": NOW - 100, "jti": "one"}])
def test_where_freshness_is_asked_for_both_members_must_be_there_and_new(members: dict[str, Any]) -> None:
    with pytest.raises(SealedPhotoRefused):
        _fresh().open(_forged("vector-p256", **members), RING, TERMINAL)


def test_a_photo_that_does_not_open_uses_no_id_up() -> None:
    fresh, text = _fresh(), _forged("vector-rsa", iat=NOW, jti="one")
    with pytest.raises(SealedPhotoRefused):
        fresh.open(text[:-22] + "A" * 22, RING, TERMINAL)
    assert fresh.open(text, RING, TERMINAL) == PHOTO


def test_a_full_memory_is_said_to_who_can_seal_only() -> None:
    fresh = _fresh(remembered=1)
    fresh.open(_forged("vector-dir", iat=NOW, jti="one"), RING, TERMINAL)
    text = _forged("vector-dir", iat=NOW, jti="two")
    with pytest.raises(SealedPhotoRefused):
        fresh.open(text[:-22] + "A" * 22, RING, TERMINAL)
    with pytest.raises(TryLater):
        fresh.open(text, RING, TERMINAL)


def test_a_photo_that_is_not_fresh_is_wiped() -> None:
    with pytest.raises(SealedPhotoRefused) as refused:
        _fresh().open(_forged("vector-dir"), RING, TERMINAL)
    trace = refused.value.__traceback__
    buffers = []
    while trace is not None:
        buffers += [value for value in trace.tb_frame.f_locals.values() if isinstance(value, bytearray)]
        trace = trace.tb_next
    assert bytes(len(PHOTO)) in buffers
    assert not any(any(buffer) for buffer in buffers)
