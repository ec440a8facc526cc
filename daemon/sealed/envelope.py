"""A sealed photo's envelope, JWE in compact serialisation, taken apart strictly and without a key.

One text, one reading: each part has one spelling, so no other text means the same. Sizes are known to be right before
anything is decoded or allocated. Why an envelope is refused is told to tools; the daemon's answer never says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pybase64

from daemon.errors import MalformedEnvelope
from daemon.sealed.header import ENC, HEADER_BYTES_MAX, Algorithm, Header, header_of, octets
from daemon.sealed.keys import RSA_BITS_MAX, RSA_BITS_MIN

IV_BYTES = 12
TAG_BYTES = 16
"""Source: RFC 7518, section 5.3."""

CIPHERTEXT_BYTES_MAX = 16 << 20
"""More than a request can bring. Source: server.body_limit_bytes in systemd/faceverifyd.yaml."""


def _digits(size: int) -> int:
    """Base64url digits of so many bytes, without padding."""
    return (size * 4 + 2) // 3


_LEADING = (
    ("header", _digits(HEADER_BYTES_MAX)),
    ("encrypted key", _digits(RSA_BITS_MAX // 8)),
    ("IV", _digits(IV_BYTES)),
)
_TAG_DIGITS = _digits(TAG_BYTES)


@dataclass(frozen=True, slots=True)
class SealedParts:
    """A sealed photo, taken apart.

    Attributes:
        header: the protected header, read and checked.
        protected: its digits as they were sent, which the tag covers.
        encrypted_key: the content key under an RSA key; empty with the other algorithms.
        iv: 12 bytes.
        sealed: the ciphertext and, behind it, the tag.
    """

    header: Header
    protected: bytes = field(repr=False)
    encrypted_key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    sealed: bytearray = field(repr=False)


def take_apart(text: str) -> SealedParts:
    """The parts of a sealed photo.

    Args:
        text: JWE compact serialisation. Source: RFC 7516, section 7.1.

    Raises:
        MalformedEnvelope: it is none, or none that this device could open; the text says why.
    """
    protected, encrypted_key, iv, start = _leading(text)
    header = header_of(octets(protected))
    key = octets(encrypted_key)
    _fits(header, key)
    initial = octets(iv)
    if len(initial) != IV_BYTES:
        raise MalformedEnvelope(f"the IV has {len(initial)} bytes, not {IV_BYTES}")
    return SealedParts(header, protected.encode("ascii"), key, initial, _sealed(text, start))


def read_header(text: str) -> dict[str, Any]:
    """What can be told of a sealed photo without a key, for tools.

    Raises:
        MalformedEnvelope: see `take_apart`.
    """
    parts = take_apart(text)
    header = parts.header
    return {
        "alg": header.alg.value,
        "enc": ENC,
        "kid": header.kid,
        "key_kind": header.kind.value,
        "iat": header.iat,
        "jti": header.jti,
        "header_bytes": len(octets(parts.protected.decode("ascii"))),
        "encrypted_key_bytes": len(parts.encrypted_key),
        "photo_bytes": len(parts.sealed) - TAG_BYTES,
    }


def _leading(text: str) -> tuple[str, str, str, int]:
    """The first three parts, and where the fourth starts."""
    if not text.isascii():
        raise MalformedEnvelope("not ASCII")
    parts, start = [], 0
    for name, longest in _LEADING:
        end = text.find(".", start, start + longest + 1)
        if end < 0:
            raise MalformedEnvelope(f"no end of the {name} within {longest} digits")
        parts.append(text[start:end])
        start = end + 1
    return parts[0], parts[1], parts[2], start


def _fits(header: Header, encrypted_key: bytes) -> None:
    if header.alg is not Algorithm.RSA_OAEP_256:
        if encrypted_key:
            # Source: RFC 7516, section 5.2, step 10.
            raise MalformedEnvelope(f"an encrypted key with alg {header.alg.value}")
    elif not RSA_BITS_MIN // 8 <= len(encrypted_key) <= RSA_BITS_MAX // 8:
        raise MalformedEnvelope(f"the encrypted key has {len(encrypted_key)} bytes")


def _sealed(text: str, start: int) -> bytearray:
    """Ciphertext and tag; the one copy of what is big."""
    end = len(text) - _TAG_DIGITS - 1
    if end < start or text[end] != ".":
        raise MalformedEnvelope(f"no fifth part of {_TAG_DIGITS} digits, the tag")
    if end - start > _digits(CIPHERTEXT_BYTES_MAX):
        raise MalformedEnvelope(f"the ciphertext has more than {CIPHERTEXT_BYTES_MAX} bytes")
    whole = end - (end - start) % 4
    sealed = _octets_of_whole_digits(text[start:whole])
    sealed += octets(text[whole:end])
    sealed += octets(text[end + 1 :])
    return sealed


def _octets_of_whole_digits(digits: str) -> bytearray:
    # pybase64 is ten times as fast where it need not think of padding, but then takes these three for digits.
    if "+" in digits or "/" in digits or "=" in digits:
        raise MalformedEnvelope("not canonical base64url")
    try:
        return pybase64.b64decode_as_bytearray(digits, altchars=b"-_", validate=True)
    except ValueError:
        raise MalformedEnvelope("not canonical base64url") from None
