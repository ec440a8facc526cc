"""Makes the vectors anew: each sealer seals the same photos to the same keys. `python -m tests.vectors.make`.

Needs java (17 or later) and node with `jose`; JOSE_MODULE names the library's main file. keys.json is kept where it is.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.vectors.cases import CASES, KEYS, photo_of

FOLDER = Path(__file__).parent
SEALERS = {
    "joserfc": [sys.executable, "-m", "tests.vectors.seal_joserfc"],
    "node-jose": ["node", str(FOLDER / "seal.mjs")],
    "java": ["java", str(FOLDER / "Seal.java")],
}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


def _version(sealer: str) -> str:
    if sealer == "joserfc":
        return f"joserfc {version('joserfc')}"
    if sealer == "java":
        shown = subprocess.run(["java", "--version"], capture_output=True, text=True, check=True).stdout
        return f"JDK's own javax.crypto, {shown.splitlines()[0]}"
    package = Path(os.environ["JOSE_MODULE"]).resolve()
    while not (package / "package.json").is_file() or '"name": "jose"' not in (package / "package.json").read_text():
        package = package.parent
    found = re.search(r'"version": "([^"]+)"', (package / "package.json").read_text())
    assert found is not None
    return f"jose {found[1]} from npm, node {subprocess.check_output(['node', '--version'], text=True).strip()}"


def _sealed(command: list[str], kid: str, header: dict[str, Any], photo: bytes) -> str:
    public = {name: value for name, value in KEYS[kid].items() if name not in PRIVATE}
    arguments = [*command, json.dumps(public), json.dumps(header)]
    return subprocess.run(arguments, input=photo, capture_output=True, check=True).stdout.decode("ascii")


def _header_of(text: str) -> dict[str, Any]:
    protected = text.partition(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    return header


def main() -> None:
    """Write one file for each sealer."""
    for sealer, command in SEALERS.items():
        vectors = []
        for case in CASES:
            text = _sealed(command, case["kid"], case["header"], photo_of(case))
            vectors.append({**case, "protected": _header_of(text), "text": text})
        document = {"sealer": _version(sealer), "made_by": f"tests/vectors/make.py, {Path(command[-1]).name}"}
        path = FOLDER / f"{sealer}.json"
        path.write_text(json.dumps(document | {"vectors": vectors}, indent=1) + "\n", "utf-8")
        sys.stdout.write(f"{path.name}: {len(vectors)} vectors\n")


if __name__ == "__main__":
    main()
