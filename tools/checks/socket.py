"""Does systemd hold the addresses that the configuration names?"""

from __future__ import annotations

import re

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SOCKET, is_running, shown


def _look(device: Device) -> Finding:
    wanted = sorted(bind.removeprefix("unix:") for bind in device.load().server.bind)
    if not is_running(device.root):
        return no_matter("systemd does not run this machine")
    state = shown(SOCKET, ("LoadState", "ActiveState", "UnitFileState", "Listen"))
    if state["LoadState"] != "loaded":
        return to_mend(f"{SOCKET} is not installed: {state['LoadState']}", "Install the units: systemd/README.md")
    if state["ActiveState"] != "active":
        return to_mend(f"{SOCKET} is {state['ActiveState']}: no terminal can connect", f"systemctl start {SOCKET}")
    if state["UnitFileState"] != "enabled":
        return to_mend(f"{SOCKET} does not come up with the machine", f"systemctl enable {SOCKET}")
    listens = sorted(re.findall(r"(\S+) \(Stream\)", state["Listen"]))
    if listens != wanted:
        return to_mend(
            f"{SOCKET} listens on {', '.join(listens)}, server.bind says {', '.join(wanted)}",
            f"Make them the same: systemctl edit {SOCKET}, with ListenStream= empty and then one for each address.",
            listens=listens,
        )
    return well(f"systemd listens on {', '.join(listens)}", listens=listens)


CHECK = Check("socket", "Does systemd hold the addresses that the configuration names?", _look)
