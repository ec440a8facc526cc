"""A request's body, of any of the three types, as a VerificationRequest.

Order of refusals: body's length, its type, its form, then the parameters in the contract's order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

import falcon

from daemon.api.multipart import parts_of
from daemon.api.percent import unquoted
from daemon.errors import InvalidArgument
from daemon.records import SealedPhoto, Sender, VerificationRequest

FIRST_PHOTO = "first_encrypted_image"
SECOND_PHOTO = "second_encrypted_image"
AUTO_ROTATE = "auto_rotate"
CHECK_QUALITY = "check_quality"
"""Wire names. Source: the contract."""

Parameters = list[tuple[str, Any]]
"""Name and value, in the order sent; a name may come twice."""

T = TypeVar("T")

AsBoolean = Callable[[Any], bool | None]
"""A value as sent, to what it says; None where it says neither true nor false."""

_JSON = "application/json"
_BOOLEAN_TEXT = {"true": True, "1": True, "false": False, "0": False}
_KNOWN = (FIRST_PHOTO, SECOND_PHOTO, AUTO_ROTATE, CHECK_QUALITY)
_PARAMETERS_MAX = 1024
"""Of one body, those without a name or a meaning too. Four have one, and a terminal has no reason to send many more."""

_FORM_FIELD = re.compile(rb"[^&]+")
_JSON_OPENS_OR_PARTS = (b",", b"[", b"{")
"""As many of these as parameters may come, nested ones and those inside of text too: each can cost thirty times its own
size in memory. The photos, base64 or base64url, hold none."""


def read_request(request: falcon.Request, body_limit_bytes: int) -> VerificationRequest:
    """The verification a terminal asks for.

    Args:
        request: headers read, body not.
        body_limit_bytes: most bytes a body may have.

    Raises:
        falcon.HTTPLengthRequired: no Content-Length, or a chunked body.
        falcon.HTTPContentTooLarge: the body is over the limit; it is not read.
        InvalidArgument: the body is of another type or malformed, or a parameter is; names the parameter.
    """
    length = body_length(request, body_limit_bytes)
    body_type = (request.content_type or "").partition(";")[0].strip().lower()
    reader = _READERS.get(body_type)
    if reader is None:
        raise InvalidArgument("the body's type is none of the three")
    as_boolean = _json_boolean if body_type == _JSON else _text_boolean
    return _as_request(request.context.sender, reader(request, length), as_boolean)


def body_length(request: falcon.Request, body_limit_bytes: int) -> int:
    """Bytes that the body will have; `body_limit_bytes` as for `read_request`.

    Raises:
        falcon.HTTPLengthRequired: no Content-Length, or a chunked body.
        falcon.HTTPContentTooLarge: the body is over the limit.
    """
    length = request.content_length
    if length is None or request.get_header("Transfer-Encoding") is not None:
        raise falcon.HTTPLengthRequired
    if length > body_limit_bytes:
        raise falcon.HTTPContentTooLarge
    return length


def _from_urlencoded(request: falcon.Request, length: int) -> Parameters:
    # Not falcon's parser: it takes 140 ms for two large photos. A plus sign is left as it is: base64 is full of them,
    # and the vendor's sample sends them bare.
    fields = _few(match[0] for match in _FORM_FIELD.finditer(_whole_body(request, length)))
    pairs = (field.partition(b"=")[::2] for field in fields)
    return [_parameter(unquoted(name), unquoted(value)) for name, value in pairs]


def _from_json(request: falcon.Request, length: int) -> Parameters:
    body = _whole_body(request, length)
    if sum(body.count(character) for character in _JSON_OPENS_OR_PARTS) > _PARAMETERS_MAX:
        raise InvalidArgument("too many parameters")
    try:
        pairs = json.loads(body.decode("utf-8"), object_pairs_hook=_Pairs, parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidArgument("the body is not JSON") from None
    if not isinstance(pairs, _Pairs):
        raise InvalidArgument("the body is not a JSON object")
    return list(pairs)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps keys given twice."""


def _from_multipart(request: falcon.Request, length: int) -> Parameters:
    parts = parts_of(_whole_body(request, length), request.content_type or "")
    return _few(_parameter(name.encode(), value) for name, value in parts)


_READERS: dict[str, Callable[[falcon.Request, int], Parameters]] = {
    "application/x-www-form-urlencoded": _from_urlencoded,
    "multipart/form-data": _from_multipart,
    _JSON: _from_json,
}


def _whole_body(request: falcon.Request, length: int) -> bytes:
    try:
        body = bytes(request.bounded_stream.read(length))
    except OSError:  # the sender has gone; that is no fault of the device
        body = b""
    if len(body) != length:
        raise InvalidArgument("the body ended early")
    return body


def _few(fields: Iterable[T]) -> list[T]:
    kept = list(islice(fields, _PARAMETERS_MAX + 1))
    if len(kept) > _PARAMETERS_MAX:
        raise InvalidArgument("too many parameters")
    return kept


def _parameter(name: bytes, value: bytes) -> tuple[str, str]:
    """Name and value as text; what an unknown parameter holds does not matter.

    Raises:
        InvalidArgument: the value of a known parameter is not UTF-8.
    """
    text = name.decode("utf-8", "replace")
    try:
        return text, value.decode("utf-8") if text in _KNOWN else ""
    except UnicodeDecodeError:
        raise InvalidArgument("not UTF-8", text) from None


def _text_boolean(value: str) -> bool | None:
    return _BOOLEAN_TEXT.get(value.lower())


def _json_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_request(sender: Sender, parameters: Parameters, as_boolean: AsBoolean) -> VerificationRequest:
    photos = (
        SealedPhoto(FIRST_PHOTO, _photo(parameters, FIRST_PHOTO)),
        SealedPhoto(SECOND_PHOTO, _photo(parameters, SECOND_PHOTO)),
    )
    auto_rotate, check_quality = (_boolean(parameters, name, as_boolean) for name in (AUTO_ROTATE, CHECK_QUALITY))
    return VerificationRequest(sender, photos, auto_rotate, check_quality)


def _values(parameters: Parameters, name: str) -> list[Any]:
    """No value or one."""
    values = [value for key, value in parameters if key == name]
    if len(values) > 1:
        raise InvalidArgument("given twice", name)
    return values


def _photo(parameters: Parameters, name: str) -> str:
    for value in _values(parameters, name):
        if isinstance(value, str) and value:
            return value
    raise InvalidArgument("missing, empty or no text", name)


def _boolean(parameters: Parameters, name: str, as_boolean: AsBoolean) -> bool:
    for value in _values(parameters, name):
        said = as_boolean(value)
        if said is None:
            raise InvalidArgument("neither true nor false", name)
        return said
    return False
