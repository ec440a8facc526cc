"""`Expect: 100-continue`: a body is asked for when it is read. Source: RFC 9110, section 10.1.1.

gunicorn asks before anybody has looked at the request, so that a body is sent which nobody will read.
"""

from __future__ import annotations

import socket
from typing import Any

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class AskingReader:
    """What gunicorn reads a body from; asks for it first.

    Attributes:
        asks: the connection that waits to be asked; None where none does, or does no more.

    Args:
        reader: one of gunicorn's.
        asks: as above.
    """

    def __init__(self, reader: Any, asks: socket.socket | None) -> None:  # noqa: ANN401 - gunicorn has no types
        self._reader = reader
        self.asks = asks

    @property
    def length(self) -> int:
        """Bytes that are not read yet; 0 where nobody has said how many there are."""
        return int(getattr(self._reader, "length", 0))

    def read(self, size: int) -> bytes:
        """Up to so many bytes.

        Raises:
            OSError: the sender has gone.
        """
        if self.asks is not None:
            asked, self.asks = self.asks, None
            asked.sendall(_CONTINUE)
        return bytes(self._reader.read(size))
