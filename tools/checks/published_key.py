"""Is the key in use that the vendor's manual prints?"""

from __future__ import annotations

from datetime import date

from daemon.sealed.keys import OPENING_STATES, KeyKind, secret_bytes
from daemon.sealed.keystore import KeyRecord
from daemon.sealed.legacy import LegacyKey
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    held = device.opened_store().opened(OPENING_STATES, (KeyKind.LEGACY,))
    published = [
        key.kid
        for record, key in held
        if _lives(record, device.today) and LegacyKey.of(secret_bytes(key.secret)).published
    ]
    if device.load().sealed.legacy and published:
        return to_mend(
            "the key that the vendor's manual prints is in use: anyone who reads the network can open the photos",
            "Give terminals an own one: fvctl keys add --kind legacy --activate; when they have it: "
            f"fvctl keys destroy --compromised {published[0]}",
        )
    return well("no published key opens anything")


def _lives(record: KeyRecord, today: date) -> bool:
    return record.expires is None or today <= record.expires


CHECK = Check("published_key", "Is the key in use that the vendor's manual prints?", _look)
