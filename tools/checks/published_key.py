"""Is the key in use that the vendor's manual prints?"""

from __future__ import annotations

from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import OPENING_STATES
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    ring = KeyRing(device.opened_store().opened(OPENING_STATES), lambda: device.today)
    if device.load().sealed.legacy and ring.legacy().published:
        return to_mend(
            "the key that the vendor's manual prints is in use: anyone who reads the network can open the photos",
            "Give terminals an own one: fvctl keys add --kind legacy --activate; and destroy the published one.",
        )
    return well("no published key opens anything")


CHECK = Check("published_key", "Is the key in use that the vendor's manual prints?", _look)
