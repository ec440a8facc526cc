"""The key-encryption key (KEK): what the key store is sealed with, wherever it is kept.

Two may be there at once, the one in use and the next one: the store tells by opening which of them it is sealed with,
so that a rotation is one atomic replacement of the store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.config import KekSource, Keys
from daemon.errors import KeyRefused
from daemon.private import refuse_readable
from daemon.sealed.buffers import wipe
from daemon.sealed.token import token_keks

KEK_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
"""AES-256-GCM. Source: NIST SP 800-38D, sections 8.2.2, a random nonce of 96 bits, and 5.2.1.2."""

NEXT = "-next"
"""Behind the name of the KEK that a rotation goes to."""

_MASK = 0o040
"""systemd 254 and newer let a unit's account read a credential by an ACL, whose mask shows as the group's right.

The folder is closed to others, and the group's own entry is empty. Source: systemd's issue 29435.
"""

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Environment variable. Source: systemd.exec(5), "Credentials"."""


class Kek(Protocol):
    """A key that seals others; it may be inside a token that never gives it away."""

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """Nonce, ciphertext and tag of AES-256-GCM."""

    def open(self, sealed: bytes, associated: bytes) -> bytearray | None:
        """What was sealed, in a buffer that the caller wipes.

        None where it was not sealed with this key, or was changed since.
        """


class AesKek:
    """A KEK that is in memory.

    Args:
        key: 32 bytes; the caller may wipe them afterwards.

    Raises:
        KeyRefused: it has not 32 bytes.
    """

    def __init__(self, key: bytes | memoryview) -> None:
        if len(key) != KEK_BYTES:
            raise KeyRefused(
                f"the key-encryption key has {len(key)} bytes; expected {KEK_BYTES}", "Restore it from where it came."
            )
        self._aead = AESGCM(key)

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """See Kek."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytearray | None:
        """See Kek."""
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        if len(rest) < TAG_BYTES:
            return None
        plain = bytearray(len(rest) - TAG_BYTES)
        try:
            self._aead.decrypt_into(nonce, rest, associated, plain)
        except InvalidTag:
            wipe(plain)  # decrypt_into writes before it knows that the tag is wrong
            return None
        return plain


def load_keks(settings: Keys, environment: Mapping[str, str]) -> tuple[Kek, ...]:
    """The KEK in use and, during a rotation, the next one; which is which the store tells by opening.

    Args:
        settings: where they are.
        environment: of the process; systemd names the folder of credentials there.

    Raises:
        KeyRefused: there is none, it is malformed, or others can read it.
    """
    if settings.kek is KekSource.PKCS11:
        assert settings.pkcs11 is not None  # the configuration's own check
        return token_keks(settings.pkcs11)
    return keks_of_files(settings, environment)


def keks_of_files(settings: Keys, environment: Mapping[str, str]) -> tuple[Kek, ...]:
    """The same, for the sources that are files.

    Raises:
        KeyRefused: see `load_keks`.
    """
    if settings.kek is KekSource.FILE:
        assert settings.file is not None  # the configuration's own check
        path, remedy, harmless = settings.file, "Run: fvctl keys init", 0
    else:
        folder = environment.get(CREDENTIALS, "")
        path, harmless = Path(folder) / settings.credential, _MASK
        remedy = (
            f"Run: fvctl keys init; and start the daemon by its unit, which hands over {settings.credential} by "
            f"LoadCredentialEncrypted= (systemd 250 and newer) or LoadCredential="
        )
        if not folder:
            raise KeyRefused(f"no credentials were handed over: {CREDENTIALS} is not set", remedy)
    # The next one first: it may take the place of the other in between, and must not be missed in both.
    names = (path.with_name(path.name + NEXT), path)
    following, used = (_read(name, remedy, harmless) for name in names)
    found = tuple(kek for kek in (used, following) if kek is not None)
    if not found:
        raise KeyRefused(f"the key-encryption key is missing: {path}", remedy)
    return found


def kek_files(settings: Keys, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files on which it depends what `load_keks` gives, there or not."""
    if settings.kek is KekSource.PKCS11 and settings.pkcs11 is not None:
        return (settings.pkcs11.pin,)
    path = Path(environment.get(CREDENTIALS, "")) / settings.credential
    if settings.kek is KekSource.FILE and settings.file is not None:
        path = settings.file
    return (path, path.with_name(path.name + NEXT))


def _read(path: Path, remedy: str, harmless: int) -> Kek | None:
    key = bytearray(KEK_BYTES + 1)  # one more, so that a longer file is noticed
    try:
        with path.open("rb", buffering=0) as file:
            refuse_readable(path, KeyRefused, file.fileno(), harmless)
            size = file.readinto(key)
        return AesKek(memoryview(key)[:size])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyRefused(f"the key-encryption key cannot be read: {path}: {error.strerror}", remedy) from None
    finally:
        wipe(key)
