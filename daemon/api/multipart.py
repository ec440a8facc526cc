"""The parts of a `multipart/form-data` body. Source: RFC 7578, and RFC 2046, section 5.1.

Not falcon's parser: it refuses parts with `Content-Transfer-Encoding: 8bit`, as Apache HttpClient 4 sends them, and
passes over headers without a space behind their colon.
"""

from __future__ import annotations

from collections.abc import Iterator

import falcon

from daemon.errors import InvalidArgument

_BOUNDARY_MAX = 70
"""Source: RFC 2046, section 5.1.1."""

_HEADERS_MAX_BYTES = 8 * 1024
_ALL_HEADERS_MAX_BYTES = 256 * 1024
"""Of one part and of all: falcon's `parse_header` takes the square of a header's length, 2 ms for one at the limit."""

_AS_IT_IS = (b"7bit", b"8bit", b"binary")
"""Encodings that change nothing. Source: RFC 2045, section 6.2."""

_LINE, _HEADERS_END = b"\r\n", b"\r\n\r\n"


def parts_of(body: bytes, content_type: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part, in the order sent; a part without a name has an empty one.

    Args:
        body: all of it; what stands before the first boundary and behind the last is passed over.
        content_type: the request's header, which names the boundary.

    Raises:
        InvalidArgument: no boundary, a part or the last boundary is cut off, or a part is encoded.
    """
    try:
        yield from _parts(body, _boundary(content_type))
    except (ValueError, KeyError):
        raise InvalidArgument("the body is not a multipart form") from None


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    delimiter = _LINE + b"--" + boundary
    headers_left = _ALL_HEADERS_MAX_BYTES
    at = body.index(delimiter[len(_LINE) :]) + len(delimiter) - len(_LINE)
    while not body.startswith(b"--", at):
        if not body.startswith(_LINE, at):
            raise ValueError
        headers_end = body.index(_HEADERS_END, at, at + min(_HEADERS_MAX_BYTES, headers_left))
        headers_left -= headers_end - at
        begin = headers_end + len(_HEADERS_END)
        end = body.index(delimiter, begin)
        yield _name(body[at + len(_LINE) : headers_end]), body[begin:end]
        at = end + len(delimiter)


def _boundary(content_type: str) -> bytes:
    boundary = falcon.parse_header(content_type)[1]["boundary"].rstrip()
    if not 1 <= len(boundary) <= _BOUNDARY_MAX:
        raise ValueError
    return boundary.encode()


def _name(headers: bytes) -> str:
    """A part's name.

    Raises:
        ValueError: it is not UTF-8, or the part's content is encoded.
    """
    said = dict(map(_header, headers.split(_LINE)))
    if said.get(b"content-transfer-encoding", b"binary").lower() not in _AS_IT_IS:
        raise ValueError
    return falcon.parse_header(said.get(b"content-disposition", b"").decode())[1].get("name", "")


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")
