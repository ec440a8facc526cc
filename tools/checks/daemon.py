"""Does a daemon answer that says it is ready?"""

from __future__ import annotations

import http.client
import json
from typing import Any

from daemon.config import Server
from daemon.errors import ConfigurationRefused
from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.reaching import own_connection

_JOURNAL = "Start it: systemctl start faceverifyd; and read its journal: journalctl -u faceverifyd"
_HUNG = "Start it anew: systemctl restart faceverifyd"


def _look(device: Device) -> Finding:
    state = _state(device.load().server)
    if not state["ready"]:
        return to_mend(f"the daemon does not serve: {', '.join(state['reasons'])}", _JOURNAL, reasons=state["reasons"])
    return well("the daemon serves", accelerators=state["accelerators"])


def _state(server: Server) -> dict[str, Any]:
    """What /readyz says.

    Raises:
        ConfigurationRefused: nothing answers, or something that is no daemon.
    """
    bind = server.bind[0]
    try:
        connection = own_connection(server)
        try:
            connection.request("GET", "/readyz")
            state = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return {name: state[name] for name in ("ready", "reasons", "accelerators")}
    except TimeoutError:
        raise ConfigurationRefused(f"the daemon at {bind} takes connections and does not answer", _HUNG) from None
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ConfigurationRefused(f"no daemon answers at {bind}: {error}", _JOURNAL) from None


CHECK = Check("daemon", "Does a daemon answer that says it is ready?", _look)
