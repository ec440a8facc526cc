"""Compares two photos: python verify_legacy.py URL A.jpg B.jpg. Needs `cryptography`. The legacy format."""

import base64
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = b"dcbbad6765e14139a07d34b92292a672"
IV = b"df25d188a061"


def sealed(photo: str) -> bytes:
    """Base64 of the ciphertext and, behind it, the tag."""
    return base64.b64encode(AESGCM(KEY).encrypt(IV, Path(photo).read_bytes(), None))


url, first, second = sys.argv[1:]
form = {"first_encrypted_image": sealed(first), "second_encrypted_image": sealed(second)}
body = urllib.parse.urlencode(form).encode()
try:
    answer = urllib.request.urlopen(url + "/identity/image_verification/stateless", body)
except urllib.error.HTTPError as refusal:
    answer = refusal
print(answer.read().decode())
