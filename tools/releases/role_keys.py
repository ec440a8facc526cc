"""Keys that sign for a role of the repository: one file with the private half, one with the public.

A private key is encrypted with a passphrase wherever one is given; it belongs on a machine, or a stick, that is nowhere
near the web server. Ed25519, because signatures are short and there is nothing to choose.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from daemon.errors import ReleaseRefused
from daemon.private import refuse_readable
from tools.whole_file import write_whole

PASSPHRASE_VARIABLE = "FACEVERIFYD_RELEASE_PASSPHRASE"  # noqa: S105 - a name
"""Environment variable with the passphrase of the private keys that one command uses."""

_SECRET_MODE, _PUBLIC_MODE = 0o600, 0o644


def make_key(path: Path) -> str:
    """A new key pair: PATH with the private half, PATH.pub with the public one; its id.

    Raises:
        ReleaseRefused: there is a key already.
    """
    if path.exists():
        raise ReleaseRefused(f"{path} exists; a key is never written over", "Name another file.")
    signer = CryptoSigner.generate_ed25519()
    pem = signer._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption())
    write_whole(path, pem, _SECRET_MODE)
    public = {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}
    write_whole(public_file(path), (json.dumps(public, indent=1) + "\n").encode(), _PUBLIC_MODE)
    return signer.public_key.keyid


def public_file(path: Path) -> Path:
    """Where the public half of a key is."""
    return path.with_name(f"{path.name}.pub")


def load_signer(path: Path) -> CryptoSigner:
    """The private half, ready to sign.

    Raises:
        DeviceError: it is not there, is no key, is readable by others, or the passphrase is not its own.
    """
    refuse_readable(path, ReleaseRefused)
    public = load_public(public_file(path))
    try:
        private = load_pem_private_key(path.read_bytes(), _passphrase())
        return CryptoSigner(private, public)
    except (ValueError, TypeError) as error:
        raise ReleaseRefused(
            f"{path} is no key that opens: {error}", f"Give its passphrase in {PASSPHRASE_VARIABLE}."
        ) from None


def load_public(path: Path) -> SSlibKey:
    """The public half.

    Raises:
        ReleaseRefused: it is not there, or is none.
    """
    try:
        stated = json.loads(path.read_text("utf-8"))
        key = Key.from_dict(stated.pop("keyid"), stated)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseRefused(f"{path} is no public key: {error}", "Name the file that ends in .pub.") from None
    if not isinstance(key, SSlibKey):
        raise ReleaseRefused(f"{path} is a key of another kind", "Make one: fvctl release keys new FILE")
    return key


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE_VARIABLE, "").encode() or None


def _encryption() -> KeySerializationEncryption:
    given = _passphrase()
    return BestAvailableEncryption(given) if given else NoEncryption()
