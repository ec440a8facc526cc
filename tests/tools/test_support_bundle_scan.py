"""The scanner finds keys, photos and tokens in every form, says where, and never repeats them."""

from __future__ import annotations

import base64
import json
import string

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import OKPKey

from tests.terminals import ADDED
from tests.tools.leaks import encodings
from tools.proofs import Maker
from tools.support_bundle_scan import LeakFound, refuse_leaks

TRIES = 200
FORMS = sorted(
    set(encodings(b"x")) - {"plain", "backwards", "utf-8 of latin-1", "ascii85", "base85", "rot13", "utf-16"}
)
"""Forms in which random bytes are text with a pattern; the others hold bytes that are no text, or look below."""


def _found(text: str | bytes) -> str:
    """What the scanner says of a file."""
    with pytest.raises(LeakFound) as refused:
        refuse_leaks({"part.json": text if isinstance(text, bytes) else text.encode()})
    return str(refused.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_found_in_every_form(form: str) -> None:
    for number in range(TRIES):
        written = encodings(np.random.default_rng(number).bytes(32))[form].decode("latin-1")
        assert written not in _found(f'{{"a": 1}}\n{{"reason": "{written}"}}\n')


@pytest.mark.parametrize("form", ["plain", "utf-16", "utf-8 of latin-1", "backwards"])
def test_bytes_of_a_key_are_no_text(form: str) -> None:
    assert "part.json, line 2: bytes that are no text" in _found(b"ok\n" + encodings(b"\x00\x9f" * 16)[form])


def test_private_keys_are_found() -> None:
    for key in (x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        assert "part.json, line 3: a PEM block" in _found(f"one\ntwo\n{pem}")
        assert "a DER key" in _found(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    jwk = json.dumps(OKPKey.generate_key("X25519").as_dict(private=True))
    assert "a private member of a JWK" in _found(jwk)
    assert "a private member of a JWK" in _found(json.dumps({"reason": jwk}))


def test_tokens_of_ours_are_found() -> None:
    for _ in range(TRIES):
        token = Maker("till-1", pytest.fail, ADDED).token().told["token"]
        assert token not in _found(f"token {token}")
        assert "a bearer token" in _found(f"Authorization: Bearer {token}")


def test_legacy_keys_are_found() -> None:
    for number in range(TRIES):
        key = "".join(np.random.default_rng(number).choice(list(string.ascii_letters + string.digits), 32))
        _found(f"key: {key}")


def test_sealed_photos_are_found() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"ECDH-ES","enc":"A256GCM"}').rstrip(b"=").decode()
    assert "in JOSE's form" in _found(f"text {header}..aa.bb.cc")


@pytest.mark.parametrize("form", ["plain", "base64", "base64url", "hex", "percent", "numbers", "repr", "json"])
def test_a_photo_is_found_in_every_form(samples: dict[str, bytes], form: str) -> None:
    for photo in (samples["obama"][:600], b"\x89PNG\r\n\x1a\n" + samples["obama"][100:700]):
        _found(encodings(photo)[form])


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "a PNG"),
        (b"GIF89a", "a GIF"),
        (b"II*\x00", "a TIFF"),
        (b"MM\x00*", "a TIFF"),
        (b"BM\x36\x00\x01\x00\x00\x00\x00\x00", "a BMP"),
    ],
)
def test_the_beginning_of_a_photo_alone_is_found(begin: bytes, kind: str) -> None:
    assert f"part.json, line 2: the bytes of {kind}" in _found(b"ok\n" + begin)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_face_is_found(indent: int | None) -> None:
    face = np.random.default_rng(1).uniform(-1, 1, 128)
    _found(json.dumps(face.tolist(), indent=indent))


def test_a_name_that_has_a_pseudonym_is_found_as_a_word() -> None:
    with pytest.raises(LeakFound, match="line 1: a name that has a pseudonym"):
        refuse_leaks({"a": b"of Zirkon, again"}, ["zirkon"])
    refuse_leaks({"a": b"of zirkonium"}, ["zirkon"])


def test_all_leaks_are_told_by_file_and_line() -> None:
    pem, number = b"-----BEGIN X-----", b"1" * 40
    with pytest.raises(LeakFound) as refused:
        refuse_leaks({"one": b"\n\n" + pem, "two": number, "three": b"well"})
    told = str(refused.value)
    assert "  one, line 3: a PEM block\n  two, line 1:" in told
    assert "three" not in told
    assert "--without FILE" in refused.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        '{"time_utc": "2026-11-25T21:03:04.123+00:00", "duration_ms": 0.00019419800082687289}',
        'faceverifyd_engine_info{accelerator="cpu",engine="5f7e3a9fd4734847",network="yunet"} 1.0',
        'faceverifyd_request_duration_seconds_bucket{le="0.0025",route="/identity/image_verification/stateless"} 0.0',
        "/opt/faceverifyd/current/trt_engines/sface/calibration.yaml: Permission denied",
        "process_start_time_seconds{} 1.79564215432e+09",
        '"fmr_interval": [9.947128861223787e-05, 0.0001144096274398218]',
        "opencv-python-headless 4.14.0.94, types-PyYAML 6.0.12.20261113, python-3.12.7",
        "onnxruntime 1.23.2 offers TensorrtExecutionProvider, CUDAExecutionProvider, OpenVINOExecutionProvider",
    ],
)
def test_what_a_bundle_is_made_of_is_no_leak(text: str) -> None:
    refuse_leaks({"part": text.encode()})
