"""Which faults did the daemon report within the last hour?"""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.service_manager import SERVICE, is_running, journal, shown

_PERIOD = timedelta(hours=1)
_FAULTS = ("fault", "start_refused", "hung")
"""Events that mean a fault of the device: daemon/audit.py."""


def _look(device: Device) -> Finding:
    if not is_running(device.root):
        return no_matter("there is no journal of systemd")
    began = device.now - _PERIOD
    events = [event for line in journal(SERVICE, f"@{_since(began):.3f}") for event in _event(line)]
    counted = Counter(str(event.get("error", event["event"])) for event in events if event["event"] in _FAULTS)
    if not counted:
        return well("no fault within the last hour", lines=len(events))
    last = [event for event in events if event["event"] in _FAULTS][-1]
    told = ", ".join(f"{name} {count} times" for name, count in counted.most_common())
    restart = f"then: systemctl restart {SERVICE}"
    return to_mend(
        f"within the last hour, since the daemon serves: {told}; the last: {last.get('reason', 'no reason given')}",
        f"{last.get('remedy', f'Send this to support: journalctl -u {SERVICE} --since -1h')}; {restart}",
        **counted,
    )


def _since(began: datetime) -> float:
    """An hour ago, or when the daemon last began to serve: what was mended before that is of no matter."""
    state = shown(SERVICE, ("ActiveEnterTimestampMonotonic", "ActiveState"))
    if state["ActiveState"] != "active":
        return began.timestamp()
    # By the clock that nobody sets; systemd's words for the time are in a zone that Python cannot always read.
    serving_s = time.time() - time.monotonic() + int(state["ActiveEnterTimestampMonotonic"]) / 1e6
    return max(began.timestamp(), serving_s)


def _event(line: str) -> list[dict[str, Any]]:
    """The event in a line of the journal; none where it is another's."""
    try:
        event = json.loads(line)
    except ValueError:
        return []
    return [event] if isinstance(event, dict) and "event" in event else []


CHECK = Check("log_errors", "Which faults did the daemon report within the last hour?", _look)
