"""Seals a photo with joserfc from PyPI. Photo on stdin, sealed photo on stdout: python -m ... JWK HEADER < photo.

JWK: a public key, or one of type oct, with its kid. HEADER: further members, JSON; apu and apv as base64url.
"""

from __future__ import annotations

import json
import sys

from tools.sealing import seal

if __name__ == "__main__":
    sys.stdout.write(seal(sys.stdin.buffer.read(), json.loads(sys.argv[1]), json.loads(sys.argv[2])))
