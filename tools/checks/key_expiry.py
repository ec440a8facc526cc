"""Does any key stop opening soon?"""

from __future__ import annotations

from daemon.sealed.keys import OPENING_STATES
from tools.checks.finding import SOON, Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    ends = {
        record.kid: record.expires
        for record in device.opened_store().file.keys
        if record.state in OPENING_STATES and record.expires is not None
    }
    soon = {kid: day.isoformat() for kid, day in ends.items() if day <= device.today + SOON}
    if soon:
        first = min(soon)
        return to_mend(
            f"{', '.join(sorted(soon))}: past its last day, or within {SOON.days} days of it",
            f"Make the next key: fvctl keys add --activate; when terminals have fetched it: fvctl keys retire {first}; "
            f"and when none uses the old one any more: fvctl keys destroy {first}",
            **soon,
        )
    return well(f"no key ends within {SOON.days} days", ending=len(ends))


CHECK = Check("key_expiry", "Does any key stop opening soon?", _look)
