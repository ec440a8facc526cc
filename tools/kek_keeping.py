"""Makes the key-encryption key (KEK) and puts the next one in its place, wherever it is kept.

The daemon only ever reads it: as a credential that systemd hands over, inside a token, or from a file.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from daemon.config import KekSource, Keys, Pkcs11
from daemon.errors import KeyRefused
from daemon.sealed import token
from daemon.sealed.kek import CREDENTIALS, KEK_BYTES, NEXT, AesKek, Kek, keks_of_files, load_keks
from tools.whole_file import make_folder, write_whole

CREDENTIAL_STORES = (Path("/etc/credstore.encrypted"), Path("/etc/credstore"))
"""Where systemd looks for encrypted and plain credentials. Source: systemd.exec(5), LoadCredential=."""

_SECONDS = 60
"""systemd-creds may talk to a TPM, which takes a few."""


class KekKeeper(Protocol):
    """One place where a KEK is kept.

    Attributes:
        at_once: whether a daemon that runs sees the next KEK without being started again.
    """

    at_once: bool

    def keks(self) -> tuple[Kek, ...]:
        """The KEK in use and, during a rotation, the next one; KeyRefused where there is none."""

    def has(self, suffix: str) -> bool:
        """Whether there is a KEK under the name with this suffix."""

    def make(self, suffix: str) -> None:
        """Make one under the name with this suffix."""

    def promote(self) -> None:
        """The next KEK takes the place of the one in use."""


def kek_keeper(
    settings: Keys, environment: Mapping[str, str], stores: tuple[Path, Path] = CREDENTIAL_STORES
) -> KekKeeper:
    """The keeper that the configuration names."""
    if settings.kek is KekSource.PKCS11:
        assert settings.pkcs11 is not None  # the configuration's own check
        return TokenKeeper(settings, settings.pkcs11)
    if settings.kek is KekSource.FILE:
        assert settings.file is not None  # the configuration's own check
        return FileKeeper(settings, settings.file)
    return CredentialKeeper(settings, environment, stores)


class TokenKeeper:
    """Inside a PKCS#11 token."""

    at_once = True

    def __init__(self, settings: Keys, pkcs11: Pkcs11) -> None:
        self._settings = settings
        self._pkcs11 = pkcs11

    def keks(self) -> tuple[Kek, ...]:
        """See KekKeeper."""
        return load_keks(self._settings, {})

    def has(self, suffix: str) -> bool:
        """See KekKeeper."""
        return token.has(self._pkcs11, self._pkcs11.key + suffix)

    def make(self, suffix: str) -> None:
        """See KekKeeper."""
        token.generate(self._pkcs11, self._pkcs11.key + suffix)

    def promote(self) -> None:
        """See KekKeeper."""
        token.promote(self._pkcs11, self._pkcs11.key + NEXT, self._pkcs11.key)


class FileKeeper:
    """In a plain file, for development."""

    at_once = True

    def __init__(self, settings: Keys, path: Path) -> None:
        self._settings = settings
        self._path = path

    def _named(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def keks(self) -> tuple[Kek, ...]:
        """See KekKeeper."""
        return keks_of_files(self._settings, {})

    def has(self, suffix: str) -> bool:
        """See KekKeeper."""
        return self._named(suffix).exists()

    def make(self, suffix: str) -> None:
        """See KekKeeper."""
        make_folder(self._path.parent)
        write_whole(self._named(suffix), secrets.token_bytes(KEK_BYTES), 0o600)

    def promote(self) -> None:
        """See KekKeeper."""
        self._named(NEXT).replace(self._path)


class CredentialKeeper:
    """As a credential of systemd: encrypted for this machine where systemd can, else readable by root alone.

    systemd hands credentials over when it starts the daemon: it sees a next KEK after a restart only.
    """

    at_once = False

    def __init__(self, settings: Keys, environment: Mapping[str, str], stores: tuple[Path, Path]) -> None:
        self._settings = settings
        self._environment = environment
        self._encrypted, self._plain = stores
        self._encrypts = shutil.which("systemd-creds") is not None  # systemd 250 and newer

    def _path(self, suffix: str) -> Path:
        return (self._encrypted if self._encrypts else self._plain) / (self._settings.credential + suffix)

    def keks(self) -> tuple[Kek, ...]:
        """See KekKeeper; what systemd handed over where it did, else as root from where systemd takes it."""
        if CREDENTIALS in self._environment:
            return keks_of_files(self._settings, self._environment)
        found = tuple(AesKek(self._content(suffix)) for suffix in ("", NEXT) if self.has(suffix))
        if not found:
            raise KeyRefused(f"the key-encryption key is missing: {self._path('')}", "Run: fvctl keys init")
        return found

    def has(self, suffix: str) -> bool:
        """See KekKeeper."""
        path = self._path(suffix)
        try:
            path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise KeyRefused(f"{path} cannot be looked at: {error.strerror}", "Run fvctl as root.") from None
        return True

    def make(self, suffix: str) -> None:
        """See KekKeeper."""
        self._store(suffix, secrets.token_bytes(KEK_BYTES))

    def promote(self) -> None:
        """See KekKeeper; a credential's name is part of its encryption, so it is encrypted anew."""
        self._store("", self._content(NEXT))
        self._path(NEXT).unlink()

    def _store(self, suffix: str, content: bytes) -> None:
        path = self._path(suffix)
        make_folder(path.parent)
        write_whole(path, self._systemd_creds("encrypt", path, content) if self._encrypts else content, 0o600)

    def _content(self, suffix: str) -> bytes:
        path = self._path(suffix)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise KeyRefused(f"{path} cannot be read: {error.strerror}", "Run fvctl as root.") from None
        return self._systemd_creds("decrypt", path, content) if self._encrypts else content

    def _systemd_creds(self, verb: str, path: Path, content: bytes) -> bytes:
        """systemd-creds over pipes: the KEK never is in a file of ours."""
        command = ["systemd-creds", verb, f"--name={path.name}", "--newline=no", "-", "-"]
        try:
            done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", b"") or b""
            raise KeyRefused(
                f"systemd-creds does not {verb} {path}: {said.decode('utf-8', 'replace').strip() or error}",
                "Run fvctl as root on the device whose credential it is.",
            ) from None
        return done.stdout
