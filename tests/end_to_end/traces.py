"""Looks for what must not have been left behind: canaries, and runs of bytes of what was secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

_RUN_BYTES = 16
_DIFFERENT_MIN = 8
"""Runs with fewer different bytes, such as zeros, say nothing about where they come from."""


class Traces:
    """Everything that would give away a secret, ready to be looked for.

    Args:
        canaries: texts that stand nowhere else; looked for as they are.
        secrets: bytes of which no run of 16 may be found: as they are, in base64 at any alignment, or escaped as Python
            or JSON would print them.
    """

    def __init__(self, canaries: Iterable[str], secrets: Iterable[bytes]) -> None:
        self._canaries = [canary.encode() for canary in canaries]
        self._runs = {run for secret in secrets for form in _forms(secret) for run in _runs(form)}

    def in_bytes(self, content: bytes) -> bool:
        """Whether something of it is in there."""
        return any(canary in content for canary in self._canaries) or any(run in self._runs for run in _runs(content))

    def in_files(self, files: Iterable[Path]) -> list[Path]:
        """The files that something of it is in, or whose name it is in."""
        return [path for path in files if self.in_bytes(str(path).encode()) or self.in_bytes(path.read_bytes())]


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield repr(secret)[2:-1].encode()
    yield json.dumps(secret.decode("latin-1"))[1:-1].encode()
    yield secret.hex().encode()
    for start in range(3):
        yield base64.b64encode(secret[start:])
        yield base64.urlsafe_b64encode(secret[start:])


def _runs(content: bytes) -> Iterator[bytes]:
    for start in range(len(content) - _RUN_BYTES + 1):
        run = content[start : start + _RUN_BYTES]
        if len(set(run)) >= _DIFFERENT_MIN:
            yield run


def files_below(folder: Path) -> list[Path]:
    """All regular files of a folder, its sub-folders included."""
    return [path for path in folder.rglob("*") if path.is_file()]


def files_open_in(process: int) -> list[Path]:
    """The regular files that a process holds open, deleted ones included; readable under /proc."""
    return [path for path in Path(f"/proc/{process}/fd").iterdir() if path.is_file()]
