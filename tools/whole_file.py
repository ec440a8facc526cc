"""Writes a file whole or not at all: whoever reads it sees the old content or the new, never a part."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file's content in one step."""
    making = path.with_suffix(".making")
    making.write_bytes(content)
    making.replace(path)
