"""Where the daemon must not serve it does not, and does not keep the machine busy with trying."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from tests.systemd.machine import SERVICE, SOCKET, Machine, soon


def _refusals(machine: Machine, since: str) -> list[str]:
    return [event["remedy"] for event in machine.events(since=since) if event["event"] == "start_refused"]


def test_a_socket_on_another_address_than_configured_is_not_served(changed: Machine) -> None:
    since = changed.now()
    changed.systemctl("stop", SOCKET, SERVICE)
    changed.drop_in(SOCKET, "[Socket]\nListenStream=\nListenStream=0.0.0.0:3000\n")
    changed.drop_in(SERVICE, "[Service]\nExecStopPost=\n")  # nobody waits here: no pause is needed
    changed.systemctl("start", SOCKET)
    changed.run("systemctl", "start", SERVICE, check=False)
    assert changed.shown("ExecMainStatus") == "4"
    assert _refusals(changed, since) == ["Make ListenStream= of faceverifyd.socket and server.bind the same."]


def test_a_terminal_that_waits_does_not_keep_a_refusing_device_busy(changed: Machine) -> None:
    changed.configure(keys={"credential": "faceverifyd-other"})
    changed.systemctl("stop", SERVICE)
    since = changed.now()

    def wait() -> None:
        with suppress(OSError):
            changed.get("/readyz")

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert soon(lambda: _refusals(changed, since))
    time.sleep(8)
    assert len(_refusals(changed, since)) == 1
    changed.configure()  # repaired
    waiting.join(60)
    assert not waiting.is_alive()
    assert changed.shown("ActiveState") == "active"
