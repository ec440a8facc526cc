"""Can the key store be opened, and is it as it was written?"""

from __future__ import annotations

from daemon.sealed.keyring import ring_of
from daemon.sealed.keys import OPENING_STATES
from tools.checks.finding import Check, Device, Finding, well


def _look(device: Device) -> Finding:
    store = device.opened_store()
    ring_of(store, device.load().sealed, lambda: device.today)
    opening = sum(record.state in OPENING_STATES for record in store.file.keys)
    return well(
        f"the key store opens, with {opening} keys in use",
        generation=store.file.generation,
        keys={record.kid: record.state.value for record in store.file.keys},
    )


CHECK = Check("key_store", "Can the key store be opened, and is it as it was written?", _look)
