"""The known answers come from elsewhere, and a machine that computes otherwise is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import resources

import pytest

from daemon.sealed.known_answers import check_known_answers
from tests.conftest import REPOSITORY
from tests.vectors.cases import KEYS, opening_keys, text_of

FORMAT = (REPOSITORY / "daemon" / "sealed" / "FORMAT.md").read_text("utf-8")

_BROKEN = """
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers import aead
{break_it}
from daemon.errors import KeyRefused
from daemon.sealed.known_answers import check_known_answers
try:
    check_known_answers()
except KeyRefused as refused:
    print(refused.args[0])
"""
"""A library that was exchanged for one that is wrong: in a process of its own."""

_CARELESS = """
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
class Careless:
    def __init__(self, key):
        self.key = bytes(key)
    def decrypt_into(self, nonce, data, associated, buffer):
        counter = modes.CTR(bytes(nonce) + bytes((0, 0, 0, 2)))
        buffer[:] = Cipher(algorithms.AES(self.key), counter).decryptor().update(bytes(data[:-16]))
aead.AESGCM = Careless
"""
"""One that opens everything, and never looks at the tag."""


def test_all_are_right_here() -> None:
    names = check_known_answers()
    assert len(names) == 8
    assert {"AES-256-GCM", "ECDH-ES on P-256", "X25519", "JWE by RSA-OAEP-256"} <= set(names)


def test_what_is_opened_was_sealed_by_javas_cryptography_to_published_keys() -> None:
    document = json.loads(resources.files("daemon.sealed").joinpath("known_answers.json").read_text("utf-8"))
    assert [known["kid"] for known in document["sealed"]] == list(KEYS)
    for known in document["sealed"]:
        assert known["text"] == text_of(f"java: {known['kid']}")
        assert known["kind"] == opening_keys()[known["kid"]].kind.value


def test_the_legacy_answer_is_that_of_the_format() -> None:
    source = (REPOSITORY / "daemon" / "sealed" / "known_answers.py").read_text("utf-8")
    (text,) = re.findall(r'"(yk\+[^"]+)"', source)
    assert f"| `Not a photo, but sixteen and a bit.` | `{text}` |" in FORMAT


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (
            "x25519.X25519PublicKey = type('P', (), {'from_public_bytes': staticmethod(lambda raw: None)})",
            "X25519, JWE to X25519",
        ),
        (_CARELESS, "AES-256-GCM, JWE to X25519, JWE to P-256, JWE by RSA-OAEP-256"),
    ],
)
def test_a_library_that_computes_otherwise_is_named_by_what_fails(break_it: str, named: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN.format(break_it=break_it)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert done.stdout.startswith(f"this machine's cryptography computes something else: {named}")
