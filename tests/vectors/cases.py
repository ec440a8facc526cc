"""What is sealed for the vectors, the keys that it is sealed to, and the vectors as they are kept."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from daemon.sealed.keys import KeyKind, OpeningKey, Secret

FOLDER = Path(__file__).parent
SEALERS = ("joserfc", "node-jose", "java")
TERMINAL = "branch-7"
"""The terminal that the symmetric key belongs to."""

KEYS: dict[str, dict[str, str]] = {
    key["kid"]: key for key in json.loads((FOLDER / "keys.json").read_text("utf-8"))["keys"]
}
KINDS = {"OKP": KeyKind.X25519, "EC": KeyKind.P256, "RSA": KeyKind.RSA, "oct": KeyKind.DIRECT}

_PARTIES = {"apu": "QWxpY2U", "apv": "Qm9i"}
_FRESH = {"iat": 1_764_000_000, "jti": "5f0c2a52-6c0e-4f6c-9a3e-0b8f3a1c7d11"}

CASES: list[dict[str, Any]] = [
    *({"name": kid, "kid": kid, "header": {}, "photo": "Not a photo.", "times": 1} for kid in KEYS),
    *({"name": f"{kid} with iat, jti and types", "kid": kid, "photo": "Not a photo.", "times": 1,
       "header": {"typ": "JWE", "cty": "image/jpeg", **_FRESH}} for kid in KEYS),
    *({"name": f"{kid} with apu and apv", "kid": kid, "header": _PARTIES, "photo": "Not a photo.", "times": 1}
      for kid in KEYS if KEYS[kid]["kty"] in ("OKP", "EC")),
    *({"name": f"{kid}, nothing in it", "kid": kid, "header": {}, "photo": "", "times": 1} for kid in KEYS),
    *({"name": f"{kid}, longer", "kid": kid, "header": {}, "photo": "0123456789", "times": 137} for kid in KEYS),
]  # fmt: skip
"""Cases as the vectors repeat them: the photo is a text in UTF-8, so many times."""


def photo_of(case: dict[str, Any]) -> bytes:
    """The bytes that were sealed."""
    return str(case["photo"]).encode("utf-8") * int(case["times"])


def vectors() -> list[Any]:
    """Every vector, with its sealer in its name."""
    found = []
    for sealer in SEALERS:
        kept = json.loads((FOLDER / f"{sealer}.json").read_text("utf-8"))["vectors"]
        found += [{**vector, "name": f"{sealer}: {vector['name']}"} for vector in kept]
    return found


def text_of(name: str) -> str:
    """The sealed photo of one vector, such as `java: vector-rsa`."""
    return next(str(vector["text"]) for vector in vectors() if vector["name"] == name)


def opening_keys() -> dict[str, OpeningKey]:
    """The keys that the vectors are sealed to, as the daemon holds them."""
    return {kid: _opening_key(key) for kid, key in KEYS.items()}


def _opening_key(jwk: dict[str, str]) -> OpeningKey:
    kind = KINDS[jwk["kty"]]
    return OpeningKey(jwk["kid"], kind, TERMINAL if kind is KeyKind.DIRECT else None, _secret(jwk))


def _secret(jwk: dict[str, str]) -> Secret:
    if jwk["kty"] == "oct":
        return _bytes(jwk["k"])
    if jwk["kty"] == "OKP":
        return x25519.X25519PrivateKey.from_private_bytes(_bytes(jwk["d"]))
    if jwk["kty"] == "EC":
        return ec.derive_private_key(_number(jwk["d"]), ec.SECP256R1())
    public = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"]))
    p, q, d, dp, dq, qi = (_number(jwk[name]) for name in ("p", "q", "d", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _bytes(digits: str) -> bytes:
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _number(digits: str) -> int:
    return int.from_bytes(_bytes(digits), "big")
