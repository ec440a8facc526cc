"""The legacy format: base64 of AES-256-GCM with a fixed key and IV.

Supported for terminals written for the vendor's interface. A fixed IV is a known weakness: two ciphertexts under one
key and IV give away the XOR of their photos, and the authentication key. The opener says loudly that it is in use.
"""

from __future__ import annotations

import binascii
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pybase64
import pydantic.dataclasses
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.config import STRICT, read_yaml
from daemon.errors import ConfigurationRefused, InvalidArgument, KeyRefused, SealedPhotoRefused

KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16
"""Sizes of AES-256-GCM. Source: NIST SP 800-38D, sections 5.2.1.1 and 8.2."""

_ZEROS = memoryview(bytes(1 << 16))

PUBLISHED_KEY = "dcbbad6765e14139a07d34b92292a672"
PUBLISHED_IV = "df25d188a061"
"""Defaults that the vendor prints in its manual (private-cloud face service, version 1.8): no secrets at all."""


@dataclass(frozen=True, slots=True)
class LegacyKey:
    """Key and IV of an installation, as bytes of their UTF-8 text."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)

    @property
    def published(self) -> bool:
        """Whether this is the key or the IV that the vendor's manual prints."""
        return self.key == PUBLISHED_KEY.encode() or self.iv == PUBLISHED_IV.encode()


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=STRICT)
class LegacyKeyFile:
    """The file that `sealed.legacy_key` names. Text that looks like a number must be quoted."""

    key: str
    iv: str


def load_legacy_key(path: Path) -> LegacyKey:
    """The installation's key from a YAML file with `key` (32 characters) and `iv` (12 characters).

    Raises:
        KeyRefused: missing, readable by others, or malformed. The text never holds what was read.
    """
    remedy = f'Put two lines, key: "…" and iv: "…", into {path} and run: chmod 600 {path}'
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyRefused(f"{path} has mode {mode:04o}: others than its owner may use it; expected 0600", remedy)
        record = read_yaml(path, LegacyKeyFile, secret=True)
    except OSError as error:
        raise KeyRefused(f"the legacy key cannot be read: {path}: {error.strerror}", remedy) from None
    except ConfigurationRefused as error:
        raise KeyRefused(str(error.args[0]), remedy) from None
    key, iv = record.key.encode(), record.iv.encode()
    if (len(key), len(iv)) != (KEY_BYTES, IV_BYTES):
        raise KeyRefused(f"{path}: key has {len(key)} bytes and iv {len(iv)}; expected 32 and 12", remedy)
    return LegacyKey(key, iv)


class LegacyFormat:
    """Opens and seals photos in the legacy format."""

    def __init__(self, key: LegacyKey) -> None:
        self._aead = AESGCM(key.key)
        self._iv = key.iv

    def open(self, text: str) -> bytearray:
        """The photo's bytes, in a buffer that the caller wipes.

        Args:
            text: base64, standard alphabet, padded; a space counts as `+`, because form decoders turn one into the
                other.

        Raises:
            InvalidArgument: the text is not base64.
            SealedPhotoRefused: it does not decrypt, whatever the reason.
        """
        sealed = _from_base64(text.replace(" ", "+"))
        if len(sealed) < TAG_BYTES:
            raise SealedPhotoRefused
        plain = bytearray(len(sealed) - TAG_BYTES)
        try:
            self._aead.decrypt_into(self._iv, sealed, None, plain)
        except InvalidTag:
            wipe(plain)  # decrypt_into writes before it knows that the tag is wrong
            raise SealedPhotoRefused from None
        return plain

    def seal(self, photo: bytes) -> str:
        """What a terminal sends for a photo."""
        return pybase64.b64encode(self._aead.encrypt(self._iv, photo, None)).decode("ascii")


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    view = memoryview(buffer)  # in blocks: a second buffer as large may not be there when memory is short
    for start in range(0, len(buffer), len(_ZEROS)):
        end = min(start + len(_ZEROS), len(buffer))
        view[start:end] = _ZEROS[: end - start]


def _from_base64(text: str) -> bytes:
    try:
        raw = pybase64.b64decode(text, validate=True)
        # Unused bits of the last digit are not part of the bytes; only the one canonical text is accepted.
        canonical = text[-4:] == pybase64.b64encode(pybase64.b64decode(text[-4:], validate=True)).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidArgument("not base64") from None
    if not canonical:
        raise InvalidArgument("not canonical base64")
    return raw
