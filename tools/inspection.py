"""What can be told of a sealed photo without any key: its format, its sizes, and whether a device would refuse it.

Opens nothing. That no fault is seen does not mean that the photo opens: the tag says so, and that takes the key.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from daemon.api.responses import answer_to
from daemon.config import Config, Freshness, PhotoLimits
from daemon.errors import InvalidArgument, InvalidContentLength, MalformedEnvelope, SealedPhotoRefused
from daemon.sealed.envelope import TAG_BYTES, take_apart
from daemon.sealed.header import is_time
from daemon.sealed.legacy import LegacyFormat
from tools.sealing_keys import Format

_SHOWN = ("alg", "enc", "kid", "typ", "cty", "iat", "jti", "apu", "apv")
"""Header members whose value is shown; of others only the name, for nobody knows what is in them."""

_PARTS = ("header", "encrypted_key", "iv", "photo", "tag")
"""Of a JWE. Source: RFC 7516, section 7.1; the ciphertext of A256GCM is as long as the photo."""

_MAX_BYTES = 5 << 20
"""Where no configuration says otherwise. Source: the contract; photo.max_bytes in systemd/faceverifyd.yaml."""

_HINTS = (
    (r"%[0-9A-Fa-f]{2}", "percent-encoded: that is for the form, and taken off before this"),
    (r"\r|\n", "holds line breaks: a sealed photo has none"),
    (r"^data:", "begins like a data URL: only what stands behind the comma is base64"),
    (r"^\s*\{", "looks like JSON: a JWE must be in compact serialisation, five parts with dots between"),
    (r'^".*"$', "stands in quotes: they are no part of it"),
    (r"^[^.]*[-_][^.]*$", "base64url without dots: the legacy format has the standard alphabet, + and /"),
    (r"^/9j/|^iVBOR|^R0lGOD|^Qk0", "looks like a photo that is in base64 and not sealed"),
)
"""What goes wrong often: a pattern, and what it means."""

_NOT_OPENED = answer_to(SealedPhotoRefused()).code
_WRONG_LENGTH = answer_to(InvalidContentLength("")).code

Fault = tuple[int, str]
"""The code that a device would answer with, and why."""

_MEMBERS_MAX = 32
_CHARACTERS_MAX = 128
"""So much of a header is shown; an honest one has a third of it."""


def inspect(text: str, device: Config | None) -> dict[str, Any]:
    """All that can be told.

    Args:
        text: the sealed photo.
        device: what it would be sent to; None: not known.

    Returns:
        Fields for people and machines. `refused` says whether any device would refuse it, `why` the reasons, with
        the contract's `code` for the first.
    """
    if not text.isascii():
        why = "not ASCII text: is it the photo itself, not sealed?"
        return {"format": "none", "refused": True, "code": _NOT_OPENED, "why": why}
    # As the daemon tells the formats apart, daemon.sealed.opener.
    is_jwe = "." in text
    told, faults = _jwe(text, device) if is_jwe else _legacy(text, device)
    fields = {
        "format": (Format.JWE if is_jwe else Format.LEGACY).value,
        "text_bytes": len(text),
        **told,
        "refused": bool(faults),
        "code": faults[0][0] if faults else None,
        "why": "; ".join(why for _, why in faults) or None,
        "hints": "; ".join(hint for pattern, hint in _HINTS if faults and re.search(pattern, text)) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _jwe(text: str, device: Config | None) -> tuple[dict[str, Any], list[Fault]]:
    parts = text.split(".")
    members = _members(parts[0])
    epk = members.get("epk")
    told: dict[str, Any] = {name: _plain(members.get(name)) for name in ("alg", "enc", "kid")}
    told["curve"] = _plain(epk.get("crv")) if isinstance(epk, dict) else None
    told["sealed_utc"] = _utc(members.get("iat"))
    shown = list(members.items())[:_MEMBERS_MAX]
    told["header"] = {_plain(name): _plain(value) if name in _SHOWN else "..." for name, value in shown}
    told |= {f"{name}_bytes": len(part) * 3 // 4 for name, part in zip(_PARTS, parts, strict=False)}
    return told, list(_faults_of_jwe(text, device))


def _faults_of_jwe(text: str, device: Config | None) -> Iterator[Fault]:
    if device is not None and not device.sealed.jwe:
        yield _NOT_OPENED, "this device opens no JWE (sealed.jwe)"
    try:
        parts = take_apart(text)
    except MalformedEnvelope as error:
        yield _NOT_OPENED, str(error)
        return
    if device is not None and device.sealed.freshness is not None:
        yield from _stale(parts.header.iat, parts.header.jti, device.sealed.freshness)
    yield from _of_size(len(parts.sealed) - TAG_BYTES, device)


def _stale(iat: float | None, jti: str | None, settings: Freshness) -> Iterator[Fault]:
    missing = [name for name, value in (("iat", iat), ("jti", jti)) if value is None]
    if missing:
        yield _NOT_OPENED, f"this device wants {' and '.join(missing)} in the header (sealed.freshness)"
    elif iat is not None:
        age_s = datetime.now(timezone.utc).timestamp() - iat
        if not -settings.clock_skew_s <= age_s <= settings.max_age_s + settings.clock_skew_s:
            yield _NOT_OPENED, f"sealed {age_s:.0f} seconds ago, by this clock (sealed.freshness)"


def _legacy(text: str, device: Config | None) -> tuple[dict[str, Any], list[Fault]]:
    faults: list[Fault] = []
    if device is not None and not device.sealed.legacy:
        faults.append((_NOT_OPENED, "this device does not open the legacy format (sealed.legacy)"))
    size = _legacy_bytes(text)
    told: dict[str, Any] = {"spaces_read_as_plus": text.count(" "), "canonical": True}
    try:
        LegacyFormat().open(text)  # the daemon's own reading, with no key to open it
    except SealedPhotoRefused:
        if size < TAG_BYTES:
            faults.append((_NOT_OPENED, f"{size} bytes are too few for the tag of {TAG_BYTES}"))
        else:
            told |= {"photo_bytes": size - TAG_BYTES, "tag_bytes": TAG_BYTES}
            faults.extend(_of_size(size - TAG_BYTES, device))
    except InvalidArgument as error:
        told["canonical"] = False
        faults.append((_NOT_OPENED, str(error)))
    return told, faults


def _legacy_bytes(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


def _of_size(photo_bytes: int, device: Config | None) -> Iterator[Fault]:
    limits: PhotoLimits | None = device.photo if device else None
    most = limits.max_bytes if limits else _MAX_BYTES
    if not 1 <= photo_bytes <= most:
        yield _WRONG_LENGTH, f"the photo has {photo_bytes} bytes, not 1 to {most}"


def _members(digits: str) -> dict[str, Any]:
    """The header's members as far as they can be read: `take_apart` is strict, who looks for a fault must not be."""
    try:
        members = json.loads(urlsafe_b64decode(digits + "=" * (-len(digits) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _plain(value: object) -> Any:  # noqa: ANN401 - a JSON value
    """What may be shown on a terminal, whoever made it."""
    if isinstance(value, str):
        return value[:_CHARACTERS_MAX] if value.isascii() and value.isprintable() else ascii(value)[:_CHARACTERS_MAX]
    return value if value is None or isinstance(value, (bool, int, float)) else "..."


def _utc(iat: object) -> str | None:
    return datetime.fromtimestamp(iat, timezone.utc).isoformat() if is_time(iat) else None
