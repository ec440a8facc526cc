"""Copies of built engines that a test may damage, and damage done to them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from daemon.config import Accelerator, Policy
from daemon.inference.accelerators import Target
from daemon.inference.engine import GOLDEN_FILE, RECORD_FILE
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY

CPU = Target(Accelerator.CPU, Policy.STRICT, 1)
MANIFEST = load_manifest(REPOSITORY / "trt_engines" / "yunet")


def change_record(engines: Path, **changes: Any) -> None:  # noqa: ANN401 - whatever YAML can hold
    path = engines / "yunet" / RECORD_FILE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def write_pinned(engines: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash in the record, as someone who may write there could."""
    (engines / "yunet" / name).write_bytes(content)
    files = yaml.safe_load((engines / "yunet" / RECORD_FILE).read_text())["files"]
    change_record(engines, files=files | {name: hashlib.sha256(content).hexdigest()})


def npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def golden(engines: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(engines / "yunet" / GOLDEN_FILE, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
