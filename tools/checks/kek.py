"""Is the key-encryption key there, and is it the one that the key store is sealed with?"""

from __future__ import annotations

import os

from daemon.config import KekSource, Keys
from daemon.errors import KeyRefused
from daemon.sealed.kek import Kek
from daemon.sealed.keystore import STORE_FILE, KeyRecord, StoreFile, open_record, read_store
from tools.checks.finding import Check, Device, Finding, to_mend, unknown, well
from tools.kek_keeping import kek_keeper


def _look(device: Device) -> Finding:
    settings = device.load().keys
    keeper = kek_keeper(settings, os.environ)
    path = settings.store / STORE_FILE
    try:
        keks = keeper.keks()
    except KeyRefused as error:
        if path.exists() and "is missing" in str(error.args[0]):  # a new one would open nothing
            return to_mend(str(error.args[0]), f"Put back the one that the store was sealed with: {_place(settings)}")
        raise
    file = read_store(path)
    sealed = [record for record in file.keys if record.sealed is not None]
    if not sealed:
        return unknown("no key is sealed that could show it", "Make one: fvctl keys add --activate")
    if not any(_opens(kek, record) for kek in keks for record in sealed):
        return to_mend(
            f"the key-encryption key ({settings.kek.value}) opens no key of the store: it is another one",
            f"Put back the one that the store was sealed with: {_place(settings)}",
            source=settings.kek.value,
        )
    return _interrupted(keeper.has_next(), settings, file)


def _interrupted(has_next: bool, settings: Keys, file: StoreFile) -> Finding:
    if has_next:
        return to_mend(
            "a rotation of the key-encryption key did not come to its end: there are two",
            "End it: systemctl restart faceverifyd; and then: fvctl keys rotate-kek",
            source=settings.kek.value,
        )
    return well(
        f"the key-encryption key ({settings.kek.value}) opens the key store",
        source=settings.kek.value,
        generation=file.generation,
    )


def _opens(kek: Kek, record: KeyRecord) -> bool:
    try:
        open_record(kek, record)
    except KeyRefused:
        return False
    return True


def _place(settings: Keys) -> str:
    if settings.kek is KekSource.FILE:
        return f"{settings.file} from its backup"
    if settings.kek is KekSource.PKCS11 and settings.pkcs11 is not None:
        return f"key {settings.pkcs11.key} of token {settings.pkcs11.token}"
    return f"credential {settings.credential} from its backup; without one the keys are lost, and are to be made anew"


CHECK = Check("kek", "Is the key-encryption key the one that the key store is sealed with?", _look)
