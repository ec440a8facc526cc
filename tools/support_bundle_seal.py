"""Seals a support bundle to whoever helps, and opens it there: JWE, by the JOSE library that seals photos.

JWE and not age: the library is here already and is kept for the photos' sake, its keys are the JWKs that technicians
know from terminals, and every language has something that opens it. Another native library, for one file a month,
would have to be kept for five Pythons on two processors.
"""

from __future__ import annotations

import json
from typing import Any

from joserfc import jwe, jwk
from joserfc.errors import JoseError

from daemon.errors import KeyRefused
from tools.sealing import ALGORITHMS

_PRIVATE = ("d", "k", "p", "q", "dp", "dq", "qi", "oth")
"""Members of a JWK that only its owner has. Source: RFC 7518, section 6."""

_ANOTHER = (
    "Name the public half: a JWK of kind OKP (X25519), EC (P-256) or RSA, made by fvctl support-bundle --new-key."
)


class _AnySize(jwe.JWERegistry):
    """joserfc's rules, but for files: it refuses what has more than 64 KiB unless told otherwise."""

    max_ciphertext_length = 1 << 26


def new_support_key() -> dict[str, Any]:
    """A new private JWK on X25519, named by its thumbprint (RFC 7638)."""
    key = jwk.OKPKey.generate_key("X25519")
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "use": "enc", "alg": "ECDH-ES"}


def public_half(key: dict[str, Any]) -> dict[str, Any]:
    """A JWK without what only its owner has."""
    return {name: value for name, value in key.items() if name not in _PRIVATE}


def support_key(text: bytes) -> dict[str, Any]:
    """The public JWK in a file.

    Raises:
        KeyRefused: it is none, or a private one, which has no business on a device.
    """
    try:
        key = json.loads(text)
        if any(name in key for name in _PRIVATE):
            raise KeyRefused(
                "the key to seal to is a private one, or symmetric: whoever has it opens bundles", _ANOTHER
            )
        jwk.import_key(_made_of(key))
        ALGORITHMS[key["kty"]]
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise KeyRefused(f"no public JWK that a bundle can be sealed to: {type(error).__name__}", _ANOTHER) from None
    return dict(key)


def sealed(content: bytes, key: dict[str, Any]) -> bytes:
    """The content as a JWE in compact form.

    Args:
        content: the bundle.
        key: what `support_key` gave.

    Raises:
        KeyRefused: nothing can be sealed to this key.
    """
    alg = ALGORITHMS[key["kty"]]
    header = {"alg": alg, "enc": "A256GCM", "cty": "application/gzip", "kid": str(key.get("kid", ""))}
    try:
        return jwe.encrypt_compact(header, content, jwk.import_key(_made_of(key)), registry=_rules()).encode("ascii")
    except (JoseError, ValueError, TypeError) as error:
        raise KeyRefused(f"nothing can be sealed to this JWK: {type(error).__name__}", _ANOTHER) from None


def opened(text: bytes, key_text: bytes) -> bytes:
    """What `sealed` sealed, for who has the private JWK.

    Raises:
        KeyRefused: it does not open with this key, or was changed.
    """
    try:
        key = json.loads(key_text)
        parts = {name: value for name, value in key.items() if name not in ("use", "alg", "kid")}
        content = jwe.decrypt_compact(text.strip(), jwk.import_key(parts), registry=_rules()).plaintext
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise KeyRefused(f"the bundle does not open: {type(error).__name__}", "Name the key it is for: --key") from None
    return content or b""


def _made_of(key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in key}


def _rules() -> _AnySize:
    return _AnySize(algorithms=[*set(ALGORITHMS.values()), "A256GCM"], strict_check_header=False)
