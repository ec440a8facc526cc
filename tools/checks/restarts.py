"""Does the daemon keep running, or is it started again and again?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SERVICE, is_running, journal, shown

_RESTARTS_MAX = 3
"""One may be an accident; systemd's counter begins anew where somebody starts the service."""

_KILLED = f"{SERVICE}: Watchdog timeout"
"""Source: systemd's service.c, as the journal has it."""


def _look(device: Device) -> Finding:
    if not is_running(device.root):
        return no_matter("systemd does not run this machine")
    state = shown(SERVICE, ("NRestarts", "ActiveEnterTimestamp"))
    restarts = int(state["NRestarts"] or 0)
    # Where somebody has started it since, its counter is zero, and what came before was seen to.
    hangs = sum(line.startswith(_KILLED) for line in journal(SERVICE, "-1day")) if restarts else 0
    evidence = {"restarts": restarts, "watchdog_kills_last_day": hangs, "running_since": state["ActiveEnterTimestamp"]}
    if hangs:
        return to_mend(
            f"the daemon hung {hangs} times within a day, and the watchdog started it anew",
            f"Send what came before to support: journalctl -u {SERVICE} --since -1day; then: systemctl restart "
            f"{SERVICE}",
            **evidence,
        )
    if restarts >= _RESTARTS_MAX:
        return to_mend(
            f"the daemon ended by itself {restarts} times",
            f"Read why: journalctl -u {SERVICE} -p warning; then: systemctl restart {SERVICE}",
            **evidence,
        )
    return well("the daemon was not started anew", **evidence)


CHECK = Check("restarts", "Does the daemon keep running?", _look)
