"""Compares two photos: python verify_jwe.py URL A.jpg B.jpg [JWK.json]. Needs `joserfc`.

Without a JWK the photos are sealed to the first key that the device publishes. TOKEN in the environment is the
terminal's own.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from joserfc import jwe, jwk

ALGORITHMS = {"OKP": "ECDH-ES", "EC": "ECDH-ES", "RSA": "RSA-OAEP-256", "oct": "dir"}


class Photos(jwe.JWERegistry):
    """joserfc seals 64 KiB at most unless it is told otherwise."""

    max_ciphertext_length = 8 << 20


def sealed(photo: str, key: dict[str, Any]) -> str:
    """JWE in compact serialisation; iat and jti are for devices that take a photo once only."""
    alg, fresh = ALGORITHMS[key["kty"]], {"iat": int(time.time()), "jti": str(uuid.uuid4())}
    header = {"alg": alg, "enc": "A256GCM", "kid": key["kid"], **fresh}
    registry = Photos(algorithms=[alg, "A256GCM"], strict_check_header=False)
    return jwe.encrypt_compact(header, Path(photo).read_bytes(), jwk.import_key(key), registry=registry)


url, first, second, *given = sys.argv[1:]
if given:
    key = json.loads(Path(given[0]).read_text())
else:
    key = json.load(urllib.request.urlopen(url + "/.well-known/jwks.json"))["keys"][0]
form = {"first_encrypted_image": sealed(first, key), "second_encrypted_image": sealed(second, key)}
headers = {"Authorization": "Bearer " + os.environ["TOKEN"]} if "TOKEN" in os.environ else {}
body = urllib.parse.urlencode(form).encode()
request = urllib.request.Request(url + "/identity/image_verification/stateless", body, headers)
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as refusal:
    answer = refusal
print(answer.read().decode())
