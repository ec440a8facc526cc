"""Can the key store be opened, by the daemon too, and is it as it was written?"""

from __future__ import annotations

from pathlib import Path

from daemon.sealed.keyring import ring_of
from daemon.sealed.keys import OPENING_STATES
from daemon.sealed.keystore import STORE_FILE
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    config, store = device.load(), device.opened_store()
    path = config.keys.store / STORE_FILE
    # The folder was made for the daemon's account: root, who asks here, may read what the daemon may not.
    if path.stat().st_uid != path.parent.stat().st_uid:
        return to_mend(
            f"{path} belongs to {_owner(path)}, its folder to {_owner(path.parent)}: the daemon cannot read it",
            f"chown --reference={path.parent} {path}",
        )
    ring_of(store, config.sealed, lambda: device.today).require(config.sealed)
    opening = sum(record.state in OPENING_STATES for record in store.file.keys)
    return well(
        f"the key store opens, with {opening} keys in use",
        generation=store.file.generation,
        keys={record.kid: record.state.value for record in store.file.keys},
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # an account that was removed
        return str(path.stat().st_uid)


CHECK = Check("key_store", "Can the key store be opened, and is it as it was written?", _look)
