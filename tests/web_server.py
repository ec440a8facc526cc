"""A web server in this process that answers as a test says, and keeps what it was shown: with and without TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMPARED = {"code": 1000, "verification_score": 0.75, "request_id": "0" * 32}
"""As a daemon answers."""


class WebServer(ThreadingHTTPServer):
    """Answers every request in the same way.

    Attributes:
        status, body, headers: the answer.
        shown: path, Authorization header and certificate of each request.
    """

    def __init__(self, body: bytes | dict[str, Any], status: int = 200, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers: dict[str, str] = {}
        self.shown: list[tuple[str, str | None, Any]] = []
        self._tls = tls is not None
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """A client that goes away is no fault of the test."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        connection = self.connection
        certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        self.server.shown.append((self.path, self.headers.get("Authorization"), certificate))
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(self.server.status)
        for name, value in {"Content-Length": str(len(self.server.body)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


@contextmanager
def web_server(
    body: bytes | dict[str, Any], status: int = 200, tls: ssl.SSLContext | None = None
) -> Iterator[WebServer]:
    """A server for the length of the block."""
    with WebServer(body, status, tls) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
