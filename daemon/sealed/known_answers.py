"""Whether this machine's cryptography gives the answers that standards and other libraries give.

A library that was exchanged, or a processor whose instructions are wrong, is found before a photo is opened with it.
The steps are the daemon's own; nothing is computed here that a request does not compute.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources

import pybase64
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from daemon.errors import KeyRefused, SealedPhotoRefused
from daemon.sealed.content_key import agreement, derived, other_info
from daemon.sealed.envelope import SealedParts
from daemon.sealed.header import Algorithm, Ephemeral, Header
from daemon.sealed.jwe import JweFormat, decrypted
from daemon.sealed.keys import KeyKind, OpeningKey, secret_of
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey

_TERMINAL = "known answers"

_REMEDY = (
    "Put the release's packages in again, as fvctl doctor --only packages says; if it stays, the machine is broken."
)


def check_known_answers() -> tuple[str, ...]:
    """The names of what gave the known answers, all of them.

    Raises:
        KeyRefused: one gave another, or opened what must not open.
    """
    failed = [name for name, right in _QUESTIONS.items() if not _is_right(right)]
    if failed:
        raise KeyRefused(f"this machine's cryptography computes something else: {', '.join(failed)}", _REMEDY)
    return tuple(_QUESTIONS)


def _is_right(right: Callable[[], bool]) -> bool:
    try:
        return right()
    except Exception:  # noqa: BLE001 - broken cryptography may raise anything
        return False


def _aes_256_gcm() -> bool:
    """Source: McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 16."""
    key = bytearray.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = bytearray.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    iv, protected = bytes.fromhex("cafebabefacedbaddecaf888"), bytes.fromhex("feedfacedeadbeef" * 2 + "abaddad2")
    header = Header(Algorithm.DIRECT, _TERMINAL, None, b"", b"", None, None)
    photo = bytearray(len(plain))
    if not decrypted(SealedParts(header, protected, b"", iv, sealed), key, photo) or photo != plain:
        return False
    sealed[-1] ^= 1
    return not decrypted(SealedParts(header, protected, b"", iv, sealed), key, photo) and not any(photo)


def _ecdh_p256() -> bool:
    """Source: RFC 7518, appendix C."""
    bob = ec.derive_private_key(
        int.from_bytes(_octets("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"), "big"), ec.SECP256R1()
    )
    alice = Ephemeral(
        KeyKind.P256,
        _octets("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"),
        _octets("SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"),
    )
    key = bytearray(16)
    derived(agreement(bob, alice), other_info("A128GCM", 128, b"Alice", b"Bob"), key)
    return key == _octets("VqqN6vgjbSBcIijNcacQGg")


def _x25519() -> bool:
    """Source: RFC 7748, section 6.1; in RFC 8037, appendix A.6, as a JWK."""
    bob = x25519.X25519PrivateKey.from_private_bytes(_octets("XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"))
    alice = Ephemeral(KeyKind.X25519, _octets("hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"), b"")
    return agreement(bob, alice).hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def _opens(kid: str) -> bool:
    """What another library sealed opens, and with another tag it does not. Source: known_answers.json."""
    document = json.loads(resources.files("daemon.sealed").joinpath("known_answers.json").read_text("utf-8"))
    known = next(known for known in document["sealed"] if known["kid"] == kid)
    kind = KeyKind(known["kind"])
    secret = secret_of(kind, pybase64.b64decode(known["secret"], validate=True))
    keys = {kid: OpeningKey(kid, kind, _TERMINAL if kind is KeyKind.DIRECT else None, secret)}
    jwe, text = JweFormat(None), str(known["text"])
    return jwe.open(text, keys, _TERMINAL) == known["photo"].encode() and _refuses(
        lambda: jwe.open(_with_another_tag(text), keys, _TERMINAL)
    )


def _legacy() -> bool:
    """Source: FORMAT.md, made with node's cryptography."""
    legacy = LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode()))
    text = "yk+BsN1Zby48IVbOCuHJMMClh1Sz9f2FxLIgO6oYGivOCuiVFuJu/obnGkCkVWRj/dmk"
    opens = legacy.open(text) == b"Not a photo, but sixteen and a bit."
    return opens and _refuses(lambda: legacy.open("zk" + text[2:]))


def _refuses(work: Callable[[], object]) -> bool:
    try:
        work()
    except SealedPhotoRefused:
        return True
    return False


def _with_another_tag(text: str) -> str:
    """The same sealed photo with another tag."""
    head, _, tag = text.rpartition(".")
    return f"{head}.{'B' if tag[0] == 'A' else 'A'}{tag[1:]}"


def _octets(digits: str) -> bytes:
    return pybase64.b64decode(digits, altchars=b"-_", validate=True, padded=False, canonical=True)


_QUESTIONS: dict[str, Callable[[], bool]] = {
    "AES-256-GCM": _aes_256_gcm,
    "ECDH-ES on P-256": _ecdh_p256,
    "X25519": _x25519,
    "JWE to X25519": lambda: _opens("vector-x25519"),
    "JWE to P-256": lambda: _opens("vector-p256"),
    "JWE by RSA-OAEP-256": lambda: _opens("vector-rsa"),
    "JWE under a shared key": lambda: _opens("vector-dir"),
    "the legacy format": _legacy,
}
"""What is asked, by the name that is told."""
