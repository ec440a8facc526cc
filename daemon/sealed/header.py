"""The protected header of a sealed photo: strict JSON with few members, taken into a record without any key.

Allow-list only: what is not named here is refused, whatever it would mean elsewhere (`zip`, `crit`, `jwk`, `p2s`...).
Every text is printable ASCII and every size has a limit, so that nothing behind this module meets a surprise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeGuard

import pybase64

from daemon.errors import MalformedEnvelope
from daemon.sealed.keys import KeyKind

ENC = "A256GCM"
"""The one content encryption. Source: RFC 7518, section 5.3."""

HEADER_BYTES_MAX = 4096
KID_DIGITS_MAX = 128
TYPE_DIGITS_MAX = 128
PARTY_BYTES_MAX = 256
JTI_DIGITS_MAX = 64
"""Limits of ours: an honest header is below 700 bytes, and a UUID as text has 36 digits."""

LATEST_IAT = 253_402_300_799
"""The last second of the year 9999, the last that calendars of ours can write: beyond it is no time, but an attempt."""

_TYPES = ("jwe", "jose", "application/jose")
"""What `typ` may say, in any case. Source: RFC 7516, section 4.1.11; the first is what libraries write."""

_CURVES = {("EC", "P-256"): KeyKind.P256, ("OKP", "X25519"): KeyKind.X25519}
"""Source: RFC 7518, section 6.2.1.1; RFC 8037, section 2."""

COORDINATE_BYTES = 32
"""On both curves. Source: RFC 7518, section 6.2.1.2; RFC 7748, section 5."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


class Algorithm(str, Enum):
    """How the content key comes to the device. Source: RFC 7518, section 4.1."""

    ECDH_ES = "ECDH-ES"
    RSA_OAEP_256 = "RSA-OAEP-256"
    DIRECT = "dir"


_REQUIRED = frozenset({"alg", "enc", "kid"})
_OPTIONAL = frozenset({"typ", "cty", "iat", "jti"})
_AGREEMENT = frozenset({"epk", "apu", "apv"})
"""Members of every header, and those that ECDH-ES alone has. Source: RFC 7518, section 4.6.1."""


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """The sender's public key of one use; `y` is empty on X25519. That it is on the curve is not known yet."""

    kind: KeyKind
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """A protected header that is as it should be.

    Attributes:
        alg: how the content key comes to the device.
        kid: id of the key that it is sealed to.
        epk: the sender's key, with ECDH-ES only.
        apu, apv: what the sender says of both parties, with ECDH-ES only; mostly empty.
        iat: Unix seconds at which it was sealed, or None.
        jti: the sealed photo's own id, or None.
    """

    alg: Algorithm
    kid: str
    epk: Ephemeral | None
    apu: bytes
    apv: bytes
    iat: float | None
    jti: str | None

    @property
    def kind(self) -> KeyKind:
        """The one kind of key that opens it."""
        if self.epk is not None:
            return self.epk.kind
        return KeyKind.DIRECT if self.alg is Algorithm.DIRECT else KeyKind.RSA


def header_of(content: bytes) -> Header:
    """The header that JSON in UTF-8 holds.

    Raises:
        MalformedEnvelope: it is not one that a photo for this device may have; the text says why.
    """
    members = _parsed(content)
    alg = _algorithm(members.get("alg"))
    agreed = alg is Algorithm.ECDH_ES
    required = _REQUIRED | {"epk"} if agreed else _REQUIRED
    _only(members, required, _OPTIONAL | _AGREEMENT if agreed else _OPTIONAL)
    _content_encryption(members["enc"])
    _media_types(members)
    return Header(
        alg=alg,
        kid=_kid(members["kid"]),
        epk=_ephemeral(members["epk"]) if agreed else None,
        apu=_party(members, "apu"),
        apv=_party(members, "apv"),
        iat=_time(members),
        jti=_photo_id(members),
    )


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value is Unix seconds. Source: NumericDate in RFC 7519, section 2."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= value <= LATEST_IAT  # type: ignore[operator]  # false for NaN


def is_photo_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a sealed photo's own id."""
    return isinstance(value, str) and len(value) <= JTI_DIGITS_MAX and bool(_VISIBLE.fullmatch(value))


def octets(digits: str) -> bytes:
    """Base64url of a short part, in its one canonical form: no padding, unused bits zero.

    Raises:
        MalformedEnvelope: it is not.
    """
    try:
        return pybase64.b64decode(digits, altchars=b"-_", validate=True, padded=False, canonical=True)
    except ValueError:
        raise MalformedEnvelope("not canonical base64url") from None


def _parsed(content: bytes) -> dict[str, Any]:
    if len(content) > HEADER_BYTES_MAX:
        raise MalformedEnvelope(f"the header has more than {HEADER_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8")
        members = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedEnvelope("the header is not strict JSON in UTF-8") from None
    if not isinstance(members, dict):
        raise MalformedEnvelope("the header is no JSON object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Readers differ in which of two they take; RFC 7516, section 4, lets us refuse.
        raise MalformedEnvelope("a header member is given twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(name)  # Python's reader would take NaN and Infinity, which are not JSON


def _only(members: dict[str, Any], required: Set[str], optional: Set[str]) -> None:
    missing, foreign = required - members.keys(), members.keys() - required - optional
    if missing:
        raise MalformedEnvelope(f"missing in the header: {', '.join(sorted(missing))}")
    if foreign:
        raise MalformedEnvelope(f"not allowed in the header: {', '.join(sorted(map(ascii, foreign)))[:200]}")


def _algorithm(value: object) -> Algorithm:
    if not isinstance(value, str) or value not in {alg.value for alg in Algorithm}:
        raise MalformedEnvelope(f"alg is {_shown(value)}, not {', '.join(alg.value for alg in Algorithm)}")
    return Algorithm(value)


def _content_encryption(value: object) -> None:
    if value != ENC:
        raise MalformedEnvelope(f"enc is {_shown(value)}, not {ENC}")


def _media_types(members: dict[str, Any]) -> None:
    typ, cty = members.get("typ", "jwe"), members.get("cty", "image/jpeg")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise MalformedEnvelope(f"typ is {_shown(typ)}, not JWE or JOSE")
    if not isinstance(cty, str) or len(cty) > TYPE_DIGITS_MAX or not _PRINTABLE.fullmatch(cty):
        raise MalformedEnvelope(f"cty is not printable ASCII of 1 to {TYPE_DIGITS_MAX} digits")


def _kid(value: object) -> str:
    if not isinstance(value, str) or len(value) > KID_DIGITS_MAX or not _VISIBLE.fullmatch(value):
        raise MalformedEnvelope(f"kid is not visible ASCII of 1 to {KID_DIGITS_MAX} digits")
    return value


def _ephemeral(value: object) -> Ephemeral:
    if not isinstance(value, dict):
        raise MalformedEnvelope("epk is no JSON object")
    kind = _CURVES.get((str(value.get("kty")), str(value.get("crv"))))
    if kind is None:
        raise MalformedEnvelope("epk is neither on X25519 nor on P-256")
    coordinates = {"x", "y"} if kind is KeyKind.P256 else {"x"}
    if value.keys() != {"kty", "crv"} | coordinates:  # a private half, `d`, is refused here too
        raise MalformedEnvelope("epk has other members than kty, crv and its coordinates")
    return Ephemeral(kind, _coordinate(value["x"]), _coordinate(value["y"]) if "y" in coordinates else b"")


def _coordinate(value: object) -> bytes:
    raw = octets(value) if isinstance(value, str) else b""
    if len(raw) != COORDINATE_BYTES:
        raise MalformedEnvelope(f"a coordinate of epk has not {COORDINATE_BYTES} bytes")
    return raw


def _party(members: dict[str, Any], name: str) -> bytes:
    value = members.get(name, "")
    raw = octets(value) if isinstance(value, str) else None
    if raw is None or len(raw) > PARTY_BYTES_MAX:
        raise MalformedEnvelope(f"{name} is not base64url of at most {PARTY_BYTES_MAX} bytes")
    return raw


def _time(members: dict[str, Any]) -> float | None:
    if "iat" in members and not is_time(members["iat"]):
        raise MalformedEnvelope(f"iat is not a number of Unix seconds up to {LATEST_IAT}")
    return members.get("iat")


def _photo_id(members: dict[str, Any]) -> str | None:
    if "jti" in members and not is_photo_id(members["jti"]):
        raise MalformedEnvelope(f"jti is not visible ASCII of 1 to {JTI_DIGITS_MAX} digits")
    return members.get("jti")


def _shown(value: object) -> str:
    return ascii(value)[:80]
