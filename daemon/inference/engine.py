"""What `fvctl engines build` published: whole, of this device, and right, or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic.dataclasses import dataclass

from daemon.config import Accelerator
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.inference.accelerators import BUILD, ONNXRUNTIME_VERSION, Target, engine_identity
from daemon.inference.golden import check_golden
from daemon.inference.network import OnnxNetwork, open_network
from daemon.manifest import Manifest, Sha256
from daemon.yaml_file import STRICT, read_yaml

MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
RECORD_FILE = "engine.yaml"


@dataclass(frozen=True, slots=True, config=STRICT)
class EngineRecord:
    """What `fvctl engines build` wrote beside an engine."""

    name: str
    identity: Sha256
    model_hash: Sha256
    model_sha256: Sha256
    golden_sha256: Sha256
    accelerator: Accelerator
    onnxruntime: str
    built_utc: str
    checks: dict[str, float]


def load_engine(engines: Path, manifest: Manifest, target: Target) -> OnnxNetwork:
    """The published engine of a network, checked before it counts.

    Args:
        engines: folder that `fvctl engines build` publishes into.
        manifest: the network.
        target: what it must run on.

    Raises:
        EngineRefused: it is missing, damaged, stale, on the wrong accelerator, or not what it claims to compute.
    """
    folder = (engines / manifest.name).resolve()  # once: a build may turn the link meanwhile
    if not (folder / RECORD_FILE).is_file():
        raise EngineRefused(f"no engine for network {manifest.name} in {engines}", BUILD)
    try:
        record = read_yaml(folder / RECORD_FILE, EngineRecord)
    except ConfigurationRefused as error:
        raise EngineRefused(str(error.args[0]), BUILD) from None
    model = _read_pinned(folder / MODEL_FILE, record.model_sha256)
    golden = _read_pinned(folder / GOLDEN_FILE, record.golden_sha256)
    if record.identity != engine_identity(model, manifest, target.accelerator):
        raise EngineRefused(
            f"engine {folder.name} is stale: it was built with onnxruntime {record.onnxruntime} for "
            f"{record.accelerator.value}, this is onnxruntime {ONNXRUNTIME_VERSION} for {target.accelerator.value}, or "
            "the network's manifest has changed",
            BUILD,
        )
    network = open_network(model, manifest, target)
    check_golden(network, golden)
    network.golden = golden
    return network


def _read_pinned(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineRefused(f"{path} cannot be read: {error}", BUILD) from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != sha256:
        raise EngineRefused(f"{path} is damaged: SHA-256 is {seen}, its record says {sha256}", BUILD)
    return content
