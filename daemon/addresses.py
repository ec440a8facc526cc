"""Where the daemon listens: what `server.bind` may say, what it means, and what keeps the daemon from it."""

from __future__ import annotations

import os
import re
import socket
from typing import Annotated, Any

from pydantic import AfterValidator, Field

_UNIX = "unix:"
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_TCP = re.compile(rf"(?:\[(?P<ipv6>[^]]+)]|(?P<host>{_LABEL}(?:\.{_LABEL})*)):(?P<port>[1-9][0-9]{{0,4}})")
_FORM = "must be HOST:PORT or [IPv6]:PORT, as 127.0.0.1:3000, the port from 1 to 65535; or unix:/PATH"


def tcp_address(bind: str) -> tuple[str, int] | None:
    """Host, without brackets, and port of a bind address; None for a Unix socket.

    Raises:
        ValueError: gunicorn cannot listen there; says what is expected.
    """
    if bind.startswith(_UNIX) and bind != _UNIX and "\0" not in bind:
        return None
    found = _TCP.fullmatch(bind)
    if found is None or int(found["port"]) > 65535 or (found["ipv6"] and not _is_ipv6(found["ipv6"])):
        raise ValueError(f"{bind!r} {_FORM}")
    return found["ipv6"] or found["host"], int(found["port"])


def _is_ipv6(host: str) -> bool:
    """As gunicorn asks: an address with a zone is none."""
    try:
        socket.inet_pton(socket.AF_INET6, host)
    except (OSError, ValueError):
        return False
    return True


def _checked(binds: tuple[str, ...]) -> tuple[str, ...]:
    for bind in binds:
        tcp_address(bind)
    return binds


Binds = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_checked)]
"""Addresses in the configuration, on each of which gunicorn can listen."""


def is_loopback(bind: str) -> bool:
    """Whether a bind address is reachable from this machine only; raises as `tcp_address`."""
    address = tcp_address(bind)
    return address is None or address[0] in ("127.0.0.1", "::1", "localhost")


def bind_of(name: Any) -> str:  # noqa: ANN401 - what a socket says of itself
    """The bind address of a socket that listens."""
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    return f"{_UNIX}{os.fsdecode(name)}"


def obstacle(bind: str) -> OSError | None:
    """What the system says against listening there, port in use above all; None where it says nothing.

    Of a Unix socket nothing is asked: gunicorn takes one over that is left. Raises as `tcp_address`.
    """
    address = tcp_address(bind)
    if address is None:
        return None
    try:
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
