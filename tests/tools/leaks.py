"""Secrets in every form in which they could get into a text, and a search for any of them."""

from __future__ import annotations

import base64
import codecs
import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from urllib.parse import quote

_WINDOW_BYTES = 15
"""So much of a secret is one too: 120 bits. A multiple of three, so that base64 of a part is a part of the base64."""

_FOR_SECRETS = ("backwards", "rot13")


def encodings(secret: bytes) -> dict[str, bytes]:
    """A secret as somebody might have written it."""
    found = {
        "plain": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "hex with colons": secret.hex(":").encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
        "base32": base64.b32encode(secret).rstrip(b"="),
        "base85": base64.b85encode(secret),
        "ascii85": base64.a85encode(secret),
        "percent": quote(secret, safe="").encode(),
        "numbers": ", ".join(map(str, secret)).encode(),
        "json of numbers": json.dumps(list(secret), indent=1).encode(),
        "one number": str(int.from_bytes(secret, "big")).encode(),
        "repr": repr(secret)[2:-1].encode(),
        "backwards": secret[::-1],
        "utf-16": secret.decode("latin-1").encode("utf-16-le"),
        "json": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
        "utf-8 of latin-1": secret.decode("latin-1").encode(),
    }
    if secret.isascii():
        found["rot13"] = codecs.encode(secret.decode(), "rot13").encode()
    return found


def written(what: str, secret: bytes) -> dict[str, bytes]:
    """The forms in which a thing is looked for.

    A key's id is no secret, and mostly digits, which some forms leave as they are.
    """
    forms = encodings(secret)
    return {form: text for form, text in forms.items() if form not in _FOR_SECRETS or not what.startswith("key id")}


def parts(secret: bytes) -> Iterator[bytes]:
    """A secret, or pieces of a long one: from its beginning, its middle and its end."""
    if len(secret) <= _WINDOW_BYTES:
        yield secret
        return
    last = len(secret) - _WINDOW_BYTES
    for begin in (0, last // 2, last):
        yield secret[begin : begin + _WINDOW_BYTES]


def contents(bundle: bytes) -> dict[str, bytes]:
    """The files of an archive by name."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(bundle))) as archive:
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            assert file is not None
            found[entry.name.rpartition("/")[2]] = file.read()
    return found


def leaked(files: dict[str, bytes], secrets: dict[str, bytes]) -> list[str]:
    """What of the secrets stands in the files, whatever its form, and whether its letters are small or not."""
    lowered = {name: content.lower() for name, content in files.items()}
    return [
        f"{what} as {form} in {name}"
        for what, secret in secrets.items()
        for part in parts(secret)
        for form, text in written(what, part).items()
        for name, content in lowered.items()
        if text.lower() in content
    ]
