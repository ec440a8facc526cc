"""A PKCS#11 token in software (SoftHSM) in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pkcs11 import Attribute, KeyType, ObjectClass

from daemon.config import Pkcs11
from daemon.sealed.token import session

PROGRAM = "softhsm2-util"
PIN = "123456"
TOKEN = "faceverifyd"
LABEL = "kek"
CONF = "softhsm2.conf"

_MODULES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
)
_SETTINGS = "SOFTHSM2_CONF"


def is_installed() -> bool:
    """Whether SoftHSM is there."""
    return shutil.which(PROGRAM) is not None and any(path.exists() for path in _MODULES)


@contextmanager
def software_token(folder: Path) -> Iterator[Pkcs11]:
    """A token with its PIN in a file, and nothing in it; for this process and those it starts."""
    tokens, conf = folder / "tokens", folder / CONF
    tokens.mkdir()
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get(_SETTINGS)
    os.environ[_SETTINGS] = str(conf)
    try:
        init_token(TOKEN)
        pin = folder / "pin"
        pin.write_text(f"{PIN}\n")
        pin.chmod(0o600)
        yield Pkcs11(next(path for path in _MODULES if path.exists()), TOKEN, LABEL, pin)
    finally:
        if before is None:
            del os.environ[_SETTINGS]
        else:
            os.environ[_SETTINGS] = before


def leave_half_made(settings: Pkcs11) -> None:
    """What a killed process leaves of a key: its label, but nothing that it could be used for."""
    left = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
        Attribute.LABEL: settings.key,
        Attribute.VALUE: b"",
        Attribute.TOKEN: True,
        Attribute.ENCRYPT: False,
        Attribute.DECRYPT: False,
    }
    with session(settings, writing=True) as opened:
        opened.create_object(left)


def init_token(label: str) -> None:
    """Make a token."""
    command = [PROGRAM, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
