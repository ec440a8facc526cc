"""A real gunicorn in a process of its own, on a free port of loopback."""

from __future__ import annotations

import copy
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import yaml

from daemon.api.verification import PATH

_READY_WITHIN_S = 60.0
_REPOSITORY = Path(__file__).resolve().parent.parent
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object, keys in the order sent."""
        parsed = json.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on a connection, and its answer."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    names = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, names, response.read())


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningDaemon:
    """Starts gunicorn with a configuration file and stops it again.

    Attributes:
        port: where it listens.
        log: file with everything it printed.
        process: gunicorn's master.

    Args:
        config: the configuration; its bind address is replaced.
        log: file for everything it prints.
        environment: variables beyond those of the tests.
        folder: where it runs.
        ready_path: what answers 200 once it serves.
        tls: how to speak to it where it speaks TLS.
    """

    def __init__(
        self,
        config: Path,
        log: Path,
        environment: dict[str, str] | None = None,
        folder: Path = _REPOSITORY,
        ready_path: str = "/readyz",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = free_port()
        self.log = log
        self._log_mode = "wb"
        self._tls = tls
        self._folder = folder
        self._ready_path = ready_path
        document = yaml.safe_load(config.read_text())
        document["server"]["bind"] = [f"127.0.0.1:{self.port}"]
        config.write_text(yaml.safe_dump(document))
        self._environment = os.environ | {
            "FACEVERIFYD_CONFIG": str(config),
            "PYTHONPATH": str(_REPOSITORY),
            **(environment or {}),
        }

    def __enter__(self) -> RunningDaemon:
        self.begin()
        self._wait()
        return self

    def begin(self) -> None:
        """Start it, and wait for nothing."""
        command = [sys.executable, "-m", "gunicorn", "-c", "python:daemon.gunicorn_conf", "daemon.wsgi:application()"]
        with self.log.open(self._log_mode) as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, cwd=self._folder)
        self._log_mode = "ab"  # where it is started again it goes on

    def _wait(self) -> None:
        until = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"gunicorn ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                if self.get(self._ready_path).status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        raise RuntimeError(f"gunicorn is not ready:\n{self.log.read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)

    @property
    def worker(self) -> int:
        """Process id of the one worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1, f"one worker, not {children}"
        return int(children[0])

    @property
    def events(self) -> list[dict[str, Any]]:
        """The journal's lines so far; what gunicorn itself printed is no JSON and left out."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    @property
    def url(self) -> str:
        """Address of the daemon."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def seen_by(self, tls: ssl.SSLContext) -> RunningDaemon:
        """The same daemon, spoken to by another terminal."""
        other = copy.copy(self)
        other._tls = tls
        return other

    def connect(self) -> http.client.HTTPConnection:
        """A connection for requests one after the other."""
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self._tls)

    def open(self) -> socket.socket:
        """A connection for bytes as they are, after the TLS handshake where there is one."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self._tls.wrap_socket(plain, server_hostname="localhost") if self._tls else plain

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, method, path, body, headers)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """GET a path."""
        return self.request("GET", path)

    def verify(self, form: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        """POST a form to the verification endpoint."""
        return self.request("POST", PATH, urlencode(form).encode(), {"Content-Type": FORM} | (headers or {}))

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and no more, and read until the daemon closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)
