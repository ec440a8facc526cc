"""Does a daemon answer that says it is ready?"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Any

from daemon.config import Config
from daemon.errors import ConfigurationRefused
from tools.checks.finding import Check, Device, Finding, to_mend, well

_TIMEOUT_S = 5.0
_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}  # noqa: S104 - a bind address is looked up, none made
"""Addresses that mean every one of this machine's, and one of them that can be called."""

_JOURNAL = "Start it: systemctl start faceverifyd; and read its journal: journalctl -u faceverifyd"


def _look(device: Device) -> Finding:
    state = _state(device.load())
    if not state["ready"]:
        return to_mend(f"the daemon does not serve: {', '.join(state['reasons'])}", _JOURNAL, reasons=state["reasons"])
    return well("the daemon serves", accelerators=state["accelerators"])


def _state(config: Config) -> dict[str, Any]:
    """What /readyz says.

    Raises:
        ConfigurationRefused: nothing answers, or something that is no daemon.
    """
    bind = config.server.bind[0]
    try:
        connection = _connection(config, bind)
        try:
            connection.request("GET", "/readyz")
            state = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return {name: state[name] for name in ("ready", "reasons", "accelerators")}
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ConfigurationRefused(f"no daemon answers at {bind}: {error}", _JOURNAL) from None


def _connection(config: Config, bind: str) -> http.client.HTTPConnection:
    host, _, port = bind.rpartition(":")
    if bind.startswith("unix:"):
        connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(bind.removeprefix("unix:"))
        return connection
    called = (_HERE.get(host, host.strip("[]")), int(port))
    if config.server.tls is None:
        return http.client.HTTPConnection(*called, timeout=_TIMEOUT_S)
    # The one certificate that is right here is the configured one, whatever host it is made out to.
    trust = ssl.create_default_context(cafile=config.server.tls.certificate)
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trust.check_hostname = False
    return http.client.HTTPSConnection(*called, timeout=_TIMEOUT_S, context=trust)


CHECK = Check("daemon", "Does a daemon answer that says it is ready?", _look)
