"""Envelopes taken apart without a key: one text, one reading, and a reason for tools where it is none."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import MalformedEnvelope
from daemon.sealed.envelope import CIPHERTEXT_BYTES_MAX, read_header, take_apart
from daemon.sealed.keys import KeyKind
from tests.daemon.sealed.forgery import digits
from tests.vectors.cases import KEYS, text_of

DIRECT = text_of("java: vector-dir")
RSA = text_of("java: vector-rsa")
AGREED = text_of("java: vector-x25519 with apu and apv")

# Source: RFC 7516, appendix A.1.7: RSA-OAEP (with SHA-1) and no kid, so it is none of ours.
RFC_7516_A1 = (
    "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGe"
    "ipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5Xn"
    "ZAYpQdb76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQ"
    "r66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9o"
    "Mo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ"
)


def _with(text: str, place: int, part: str) -> str:
    parts = text.split(".")
    parts[place] = part
    return ".".join(parts)


def _reason(text: str) -> str:
    with pytest.raises(MalformedEnvelope) as refused:
        take_apart(text)
    return str(refused.value)


def test_the_parts_of_a_direct_envelope_are_found() -> None:
    header, encrypted_key, iv, ciphertext, tag = DIRECT.split(".")
    parts = take_apart(DIRECT)
    assert (parts.protected.decode(), parts.encrypted_key, encrypted_key) == (header, b"", "")
    assert (digits(parts.iv), digits(parts.sealed[:-16]), digits(parts.sealed[-16:])) == (iv, ciphertext, tag)


def test_the_encrypted_key_of_an_rsa_envelope_is_found() -> None:
    assert digits(take_apart(RSA).encrypted_key) == RSA.split(".")[1]


@pytest.mark.parametrize("kid", KEYS)
def test_the_header_says_which_kind_of_key_opens(kid: str) -> None:
    kinds = {"OKP": KeyKind.X25519, "EC": KeyKind.P256, "RSA": KeyKind.RSA, "oct": KeyKind.DIRECT}
    header = take_apart(text_of(f"node-jose: {kid}")).header
    assert (header.kid, header.kind) == (kid, kinds[KEYS[kid]["kty"]])


def test_the_parties_are_found() -> None:
    header = take_apart(AGREED).header
    assert (header.apu, header.apv) == (b"Alice", b"Bob")


def test_the_example_of_rfc_7516_is_refused_for_its_algorithm() -> None:
    assert _reason(RFC_7516_A1) == "alg is 'RSA-OAEP', not ECDH-ES, RSA-OAEP-256, dir"


def test_tools_are_told_what_can_be_told_without_a_key() -> None:
    assert read_header(text_of("java: vector-rsa with iat, jti and types")) == {
        "alg": "RSA-OAEP-256",
        "enc": "A256GCM",
        "kid": "vector-rsa",
        "key_kind": "rsa",
        "iat": 1_764_000_000,
        "jti": "5f0c2a52-6c0e-4f6c-9a3e-0b8f3a1c7d11",
        "header_bytes": 157,
        "encrypted_key_bytes": 256,
        "photo_bytes": len("Not a photo."),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "no end of the header within 5462 digits", id="nothing"),
        pytest.param("." * 3, "the header is not strict JSON in UTF-8", id="four empty parts"),
        pytest.param("." * 4, "the header is not strict JSON in UTF-8", id="five empty parts"),
        pytest.param(DIRECT.rpartition(".")[0], "no fifth part of 22 digits, the tag", id="no tag"),
        pytest.param(
            f"{DIRECT[: DIRECT.index('..') + 19]}{'A' * 22}", "no fifth part of 22 digits, the tag", id="four parts"
        ),
        pytest.param(f"{DIRECT}.", "no fifth part of 22 digits, the tag", id="a sixth part, empty"),
        pytest.param(f"{DIRECT[:-30]}.{DIRECT[-30:]}", "not canonical base64url", id="a dot in the ciphertext"),
        pytest.param("A" * 5463 + ".", "no end of the header within 5462 digits", id="a long header"),
        pytest.param(_with(RSA, 1, "A" * 684), "no end of the encrypted key within 683 digits", id="a long key"),
        pytest.param(_with(RSA, 1, digits(bytes(255))), "the encrypted key has 255 bytes", id="a short key"),
        pytest.param(_with(RSA, 1, ""), "the encrypted key has 0 bytes", id="no key with RSA"),
        pytest.param(_with(DIRECT, 1, "AAAA"), "an encrypted key with alg dir", id="a key with dir"),
        pytest.param(_with(AGREED, 1, "AAAA"), "an encrypted key with alg ECDH-ES", id="a key with ECDH-ES"),
        pytest.param(_with(DIRECT, 2, "A" * 18), "no end of the IV within 16 digits", id="a long IV"),
        pytest.param(_with(DIRECT, 2, "A" * 14 + "B"), "not canonical base64url", id="an IV that is no base64"),
        pytest.param(_with(DIRECT, 2, digits(bytes(8))), "the IV has 8 bytes, not 12", id="a short IV"),
        pytest.param(_with(DIRECT, 4, "A" * 21), "no fifth part of 22 digits, the tag", id="a short tag"),
        pytest.param(_with(DIRECT, 4, "A" * 21 + "B"), "not canonical base64url", id="unused bits in the tag"),
        pytest.param(DIRECT + "\n", "no fifth part of 22 digits, the tag", id="a line end"),
        pytest.param(" " + DIRECT, "not canonical base64url", id="a space before"),
        pytest.param(DIRECT[:-1] + "é", "not ASCII", id="a letter of another alphabet"),
        pytest.param(DIRECT[:-1] + "\ud800", "not ASCII", id="half a surrogate pair"),
    ],
)
def test_what_is_no_envelope_is_refused_with_its_reason(text: str, reason: str) -> None:
    assert _reason(text) == reason


@pytest.mark.parametrize("size", range(8))
def test_a_ciphertext_of_any_length_is_found(size: int) -> None:
    content = bytes(range(250, 250 - size, -1))
    assert take_apart(_with(DIRECT, 3, digits(content))).sealed[:-16] == content


@given(st.text(alphabet="AQgwz09-_+/=. \n", max_size=9))
def test_a_ciphertext_has_one_spelling(part: str) -> None:
    text = _with(DIRECT, 3, part)
    try:
        found = take_apart(text)
    except MalformedEnvelope:
        return
    assert digits(found.sealed[:-16]) == part  # digits: the standard library's codec


def test_a_ciphertext_of_more_than_a_request_is_refused_before_it_is_decoded() -> None:
    text = _with(DIRECT, 3, "\0" * (CIPHERTEXT_BYTES_MAX * 4 // 3 + 2))  # decoding would say: not base64url
    assert _reason(text) == f"the ciphertext has more than {CIPHERTEXT_BYTES_MAX} bytes"


@pytest.mark.parametrize("text", ["." * 16_000_000, "A" * 16_000_000, DIRECT + "." * 16_000_000])
def test_a_text_as_large_as_a_request_costs_little(text: str) -> None:
    start = time.process_time()
    _reason(text)
    assert time.process_time() - start < 1  # a hang, not a speed: it takes under a millisecond


def test_a_reason_repeats_little_of_what_it_refuses() -> None:
    header = json.dumps({"alg": "x" * 3000, "enc": "A256GCM", "kid": "x"}).encode()
    assert len(_reason(_with(DIRECT, 0, digits(header)))) < 200
