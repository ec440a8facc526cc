"""Does systemd run the daemon, and will it after the next start of the machine?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SERVICE, is_running, shown

_NAMES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "StatusText", "Result")


def _look(device: Device) -> Finding:
    if not is_running(device.root):
        return no_matter("systemd does not run this machine")
    state = shown(SERVICE, _NAMES)
    fault = _fault(state)
    if fault:
        return to_mend(*fault, **state)
    return well(f"{SERVICE} is {state['SubState']}: {state['StatusText']}", **state)


def _fault(state: dict[str, str]) -> tuple[str, str] | None:
    """What is wrong and what to do; None where nothing is."""
    if state["LoadState"] != "loaded":
        return f"{SERVICE} is not installed: {state['LoadState']}", "Install the units: systemd/README.md"
    if state["NeedDaemonReload"] == "yes":
        return (
            f"{SERVICE} was changed on the disk, and systemd has not read it",
            "systemctl daemon-reload && systemctl restart faceverifyd",
        )
    if state["UnitFileState"] != "enabled":
        return f"{SERVICE} does not come up with the machine", f"systemctl enable {SERVICE}"
    if state["ActiveState"] not in ("active", "activating", "reloading"):
        return (
            f"{SERVICE} is {state['ActiveState']} ({state['Result']}): {state['StatusText'] or 'it was not started'}",
            f"systemctl start {SERVICE}; where it refuses, its journal says why: journalctl -u {SERVICE} -n 20",
        )
    return None


CHECK = Check("unit", "Does systemd run the daemon?", _look)
