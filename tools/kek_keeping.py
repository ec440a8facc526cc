"""Makes the key-encryption key (KEK) and exchanges it for the next one, wherever it is kept.

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
    """One place where a KEK is kept; each method raises KeyRefused where that place cannot be used."""

    def keks(self) -> tuple[Kek, ...]:
        """The KEK in use and, during a rotation, the next one; KeyRefused where there is none."""

    def has_one(self) -> bool:
        """Whether there is a KEK."""

    def has_next(self) -> bool:
        """Whether there is one beside it: a rotation did not come to its end."""

    def first(self) -> Kek:
        """The KEK that a new store is to be sealed with; made where there is none."""

    def next(self, in_use: Kek) -> Kek | None:
        """The KEK that a rotation goes to; made where there is none yet.

        None where the daemon must be started again before it can see it.
        """

    def keep_only(self, kek: Kek) -> bool:
        """The KEK that a rotation went to takes the place of all others.

        Returns:
            Whether the daemon must be started again to have it.
        """


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
    """Inside a PKCS#11 token: all its KEKs have one label, and none is ever changed."""

    def __init__(self, settings: Keys, pkcs11: Pkcs11) -> None:
        self._settings = settings
        self._pkcs11 = pkcs11

    def keks(self) -> tuple[Kek, ...]:
        """See KekKeeper."""
        return load_keks(self._settings, {})

    def has_one(self) -> bool:
        """See KekKeeper."""
        return token.count(self._pkcs11) > 0

    def has_next(self) -> bool:
        """See KekKeeper."""
        return token.count(self._pkcs11) > 1

    def first(self) -> Kek:
        """See KekKeeper; not one whose making was interrupted."""
        there = self.keks() if self.has_one() else ()
        return next((kek for kek in there if _works(kek)), None) or token.generate(self._pkcs11)

    def next(self, in_use: Kek) -> Kek:
        """See KekKeeper; always a new one: another may be what is left of one whose making was interrupted."""
        self.keep_only(in_use)
        return token.generate(self._pkcs11)

    def keep_only(self, kek: Kek) -> bool:
        """See KekKeeper."""
        assert isinstance(kek, token.TokenKek)  # of `keks` or `next`
        token.keep_only(self._pkcs11, kek)
        return False


def _works(kek: Kek) -> bool:
    try:
        return kek.open(kek.seal(b"", b""), b"") is not None
    except KeyRefused:
        return False


class FileKeeper:
    """In a plain file, for development. The next one has a name of its own, and is the one to keep."""

    def __init__(self, settings: Keys, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._next_path = path.with_name(path.name + NEXT)

    def keks(self) -> tuple[Kek, ...]:
        """See KekKeeper."""
        return keks_of_files(self._settings, {})

    def has_one(self) -> bool:
        """See KekKeeper."""
        return self._path.exists()

    def has_next(self) -> bool:
        """See KekKeeper."""
        return self._next_path.exists()

    def first(self) -> Kek:
        """See KekKeeper."""
        if not self.has_one():
            make_folder(self._path.parent)
            self._write(self._path)
        return self.keks()[0]

    def next(self, in_use: Kek) -> Kek:
        """See KekKeeper."""
        if not self.has_next():
            self._write(self._next_path)
        return self.keks()[-1]

    def keep_only(self, kek: Kek) -> bool:
        """See KekKeeper."""
        self._next_path.replace(self._path)
        return False

    def _write(self, path: Path) -> None:
        write_whole(path, secrets.token_bytes(KEK_BYTES), 0o600)


class CredentialKeeper:
    """As a credential of systemd: encrypted for this machine where systemd can, else readable by root alone.

    systemd hands credentials over when it starts the daemon: it sees a next KEK after a restart only. Where systemd
    cannot encrypt (249), a unit can name no credential that is not always there: the daemon sees the next KEK once it
    is the only one.
    """

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
        found = tuple(AesKek(self._content(suffix)) for suffix in ("", NEXT) if self._has(suffix))
        if not found:
            raise KeyRefused(f"the key-encryption key is missing: {self._path('')}", "Run: fvctl keys init")
        return found

    def has_one(self) -> bool:
        """See KekKeeper."""
        return self._has("")

    def has_next(self) -> bool:
        """See KekKeeper."""
        return self._has(NEXT)

    def first(self) -> Kek:
        """See KekKeeper."""
        if not self.has_one():
            self._store("", secrets.token_bytes(KEK_BYTES))
        return AesKek(self._content(""))

    def next(self, in_use: Kek) -> Kek | None:
        """See KekKeeper."""
        if not self.has_next():
            self._store(NEXT, secrets.token_bytes(KEK_BYTES))
            if self._encrypts:
                return None
        return AesKek(self._content(NEXT))

    def keep_only(self, kek: Kek) -> bool:
        """See KekKeeper; the next one. A credential's name is part of its encryption, so it is encrypted anew."""
        self._store("", self._content(NEXT))
        self._path(NEXT).unlink()
        return not self._encrypts

    def _has(self, suffix: str) -> bool:
        path = self._path(suffix)
        try:
            path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise KeyRefused(f"{path} cannot be looked at: {error.strerror}", "Run fvctl as root.") from None
        return True

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
