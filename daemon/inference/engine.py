"""What `fvctl engines build` published: whole, of this device, and right, or refused.

An engine is code: it is loaded only from a folder that its owner alone may enter, and only where it holds exactly the
files of its record, each with the hash that the record states.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from pydantic.dataclasses import dataclass

from daemon.config import Accelerator
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.inference.accelerators import ACCELERATORS, BUILD, Basis, Target, engine_identity
from daemon.inference.golden import check_golden
from daemon.inference.network import Built, OnnxNetwork, open_network
from daemon.inference.platform import Platform, read_platform
from daemon.inference.tensorrt import CONTEXT_FILE
from daemon.manifest import Manifest, Sha256, model_hash
from daemon.yaml_file import STRICT, read_yaml

MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
RECORD_FILE = "engine.yaml"
COMPILED_FOLDER = "compiled"
"""What an accelerator's own builder left; empty or not there for accelerators that have none."""


@dataclass(frozen=True, slots=True, config=STRICT)
class EngineRecord:
    """What `fvctl engines build` wrote beside an engine.

    Attributes:
        name: of the network.
        identity: see `engine_identity`.
        model_hash: what a calibration is bound to.
        basis: what it was made for.
        asked: the accelerator that the configuration asked for; with allow_lower, the basis may name a slower one.
        asked_platform: what there was of it.
        files: SHA-256 of every file but this one, by its path in the folder.
        built_utc: when.
        build_s: how long the accelerator's builder took, for the next one's forecast.
        warm_ms: how long its golden vectors took then, warm, for doctor to compare.
        checks: least agreement found in each check.
    """

    name: str
    identity: Sha256
    model_hash: Sha256
    basis: Basis
    asked: Accelerator
    asked_platform: Platform
    files: dict[str, Sha256]
    built_utc: str
    build_s: float
    warm_ms: float
    checks: dict[str, float]


def load_engine(engines: Path, manifest: Manifest, target: Target) -> OnnxNetwork:
    """The published engine of a network, checked before it counts.

    Args:
        engines: folder that `fvctl engines build` publishes into.
        manifest: the network.
        target: what it must run on.

    Raises:
        EngineRefused: it is missing, damaged, stale, on an accelerator that is not permitted, or not what it claims
            to compute.
    """
    folder = (engines / manifest.name).resolve()  # once: a build may turn the link meanwhile
    if not (folder / RECORD_FILE).is_file():
        raise EngineRefused(f"no engine for network {manifest.name} in {engines}", BUILD)
    return open_engine(folder, manifest, target)


def open_engine(folder: Path, manifest: Manifest, target: Target) -> OnnxNetwork:
    """The engine of one folder, checked before it counts.

    Raises:
        EngineRefused: see `load_engine`.
    """
    record = read_record(folder)
    _refuse_open_to_others(folder)
    files = _read_named(folder, record)
    model, golden = files[MODEL_FILE], files[GOLDEN_FILE]
    hashed = model_hash(model, manifest)
    _refuse_stale(folder, record, engine_identity(hashed, manifest, _basis_here(record)), target)
    accelerator = record.basis.accelerator
    context = folder / COMPILED_FOLDER / CONTEXT_FILE if ACCELERATORS[accelerator].compiles else None
    there = Target(accelerator, target.policy, target.threads)
    network = open_network(model, manifest, there, Built(record.basis.precision, context, hashed))
    check_golden(network, golden)
    network.golden = golden
    return network


def read_record(folder: Path) -> EngineRecord:
    """The record of one engine's folder.

    Raises:
        EngineRefused: it is missing or has faults.
    """
    try:
        return read_yaml(folder / RECORD_FILE, EngineRecord)
    except ConfigurationRefused as error:
        raise EngineRefused(str(error.args[0]), BUILD) from None


def _refuse_open_to_others(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        raise EngineRefused(
            f"{folder} has mode {mode:04o}: others than its owner may put code there; expected 0700",
            "Run: fvctl engines build; what is there may have been changed.",
        )


def _read_named(folder: Path, record: EngineRecord) -> dict[str, bytes]:
    """The model and the golden vectors; all other files are checked by their hash too."""
    found = {str(path.relative_to(folder)) for path in _files(folder)} - {RECORD_FILE}
    wanted = {*record.files, MODEL_FILE, GOLDEN_FILE}
    if strange := sorted(found - wanted):
        raise EngineRefused(f"{folder} holds {', '.join(strange)}, which its record does not name", BUILD)
    return {name: _read_pinned(folder / name, record.files.get(name, "none")) for name in sorted(wanted)}


def _files(folder: Path) -> list[Path]:
    return [Path(where) / name for where, _folders, names in os.walk(folder) for name in names]


def _read_pinned(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineRefused(f"{path} cannot be read: {error}", BUILD) from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != sha256:
        raise EngineRefused(f"{path} is damaged: SHA-256 is {seen}, its record says {sha256}", BUILD)
    return content


def _basis_here(record: EngineRecord) -> Basis:
    """What the engine would be made for if it were built on this device today."""
    basis = record.basis
    return Basis(basis.accelerator, basis.precision, read_platform(basis.accelerator))


def _refuse_stale(folder: Path, record: EngineRecord, identity: str, target: Target) -> None:
    built, here = record.basis, _basis_here(record)
    if built.accelerator not in target.permitted():
        raise EngineRefused(
            f"engine {folder.name} is stale: it was built for {built.accelerator.value}, the configuration asks for "
            f"{target.accelerator.value} ({target.policy.value})",
            BUILD,
        )
    if record.identity != identity:
        raise EngineRefused(
            f"engine {folder.name} is stale: it was built with {built.platform} for {built.accelerator.value}, this "
            f"is {here.platform}, or the network's manifest has changed",
            BUILD,
        )
