"""The programs in `clients/`, run as a terminal maker would: they share no code with the daemon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy, which

from tests.conftest import STATE, need

CLIENTS = Path(__file__).parent / "clients"
_NODE_MIN = 18
"""Debian 12's. Source: Node 18 is the first with fetch as a global; jose 5 takes its crypto from Node itself."""

Program = tuple[str, ...]
"""A command line; address, photos and a key follow it."""


def shell() -> Program:
    """Curl and openssl; the legacy format."""
    for name in ("openssl", "curl"):
        need(name, which(name) is not None)
    return ("bash", str(CLIENTS / "verify.sh"))


def java() -> Program:
    """The JDK alone; the legacy format."""
    return _java("Verify.java")


def java_jwe() -> Program:
    """The JDK alone; JWE."""
    return _java("VerifyJwe.java")


def node() -> Program:
    """Node alone; the legacy format."""
    need("node", which("node") is not None)
    return ("node", str(CLIENTS / "verify.mjs"))


def node_jwe() -> Program:
    """Node with `jose`, installed as its lock file says; JWE."""
    need("npm", which("npm") is not None)
    need(f"node {_NODE_MIN} or later", _node_version() >= _NODE_MIN)
    folder, wanted = STATE / "clients", (CLIENTS / "package-lock.json").read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / "installed"
    if not installed.exists() or installed.read_bytes() != wanted:
        for name in ("package.json", "package-lock.json"):
            copy(CLIENTS / name, folder)
        said("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))
        installed.write_bytes(wanted)
    # Node looks for libraries beside the program, not where it is started.
    return ("node", str(copy(CLIENTS / "verify_jwe.mjs", folder)))


def python() -> Program:
    """Python with `cryptography`; the legacy format."""
    return (sys.executable, str(CLIENTS / "verify_legacy.py"))


def python_jwe() -> Program:
    """Python with `joserfc`; JWE."""
    return (sys.executable, str(CLIENTS / "verify_jwe.py"))


def said(*command: str) -> str:
    """What a program printed; no proxy sees what it sends."""
    environment = os.environ | {"no_proxy": "*", "NO_PROXY": "*"}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _java(source: str) -> Program:
    need("java", which("java") is not None)
    return ("java", str(CLIENTS / source))


def _node_version() -> int:
    found = re.match(r"v(\d+)", said("node", "--version")) if which("node") else None
    return int(found[1]) if found else 0
