"""Does the log of key changes hold together?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    entries, interrupted = device.key_log()
    if interrupted:
        return to_mend(
            f"the last change of the keys was interrupted: {interrupted[-1].operation}",
            "See what there is, and do it again: fvctl keys list",
            entries=len(entries),
        )
    return well(f"the log of key changes is whole: {len(entries)} entries", entries=len(entries))


CHECK = Check("key_log", "Does the log of key changes hold together?", _look)
