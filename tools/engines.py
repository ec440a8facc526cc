"""Makes the engines of this device; `tools.engine_commands` is the command line.

A build fetches the pinned network, rewrites it into the device model, proves that model against an independent
witness, checks that every JetPack would take it, builds it for the configured accelerator, proves on that accelerator
what it built, and only then publishes the folder with one atomic link. Whatever fails, the old engine goes on serving.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from daemon.config import Accelerator, Inference, Policy
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.face.detection import FaceDetector
from daemon.inference.accelerators import ACCELERATORS, Basis, Target, engine_identity
from daemon.inference.engine import COMPILED_FOLDER, GOLDEN_FILE, MODEL_FILE, EngineRecord, load_engine, open_engine
from daemon.inference.network import OnnxNetwork, open_network
from daemon.inference.platform import read_platform
from daemon.manifest import Manifest, Rewrite, load_manifest, model_hash
from daemon.records import Floats
from tools.accuracy import check_accuracy
from tools.compiling import Order, compile_engine
from tools.console import say
from tools.fetch import fetch_archive, read_member
from tools.portable import portable_model
from tools.preflight import refuse_unfit
from tools.publication import hashes, last_build_s, locked, publish, workshop, write_durably, write_record
from tools.recipe import device_model
from tools.samples import sample_photos
from tools.warm_runs import warm_ms
from tools.witness import check_against_witness, golden_input

_ON_CPU = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=1)

_PARSED_FILE = "parsed.onnx"
"""The model as an accelerator's parser takes it; there during a build only."""

_TIMINGS_FOLDER = ".timings"
"""Beside the engines: what builders measured, which makes the next build faster."""


@dataclasses.dataclass(frozen=True)
class _Proven:
    """A device model that agrees with its witness, and what engines made of it are held to."""

    folder: Path
    manifest: Manifest
    model: bytes
    full: OnnxNetwork
    golden: bytes
    photos: Mapping[str, bytes]
    checks: Mapping[str, float]


def source_network(manifest: Manifest, cache: Path) -> bytes:
    """The network as its makers publish it.

    Raises:
        DownloadFailed: it is neither in the cache nor to be had, or is another file.
    """
    source = manifest.source
    archive = fetch_archive(source.requirement, source.archive_sha256, cache)
    return read_member(archive, source.member, source.member_sha256)


def headless_model(folder: Path, cache: Path) -> tuple[bytes, Manifest]:
    """The device model of a network without its occlusion head, to train one, and the manifest it was made by.

    Raises:
        DeviceError: the network cannot be had, or the recipe does not fit it.
    """
    manifest = load_manifest(folder)
    plain = tuple(rewrite for rewrite in manifest.recipe if rewrite is not Rewrite.JOIN_OCCLUSION_HEAD)
    bare = dataclasses.replace(manifest, recipe=plain)
    return device_model(source_network(bare, cache), bare, folder), bare


def detector_from_source(folder: Path, cache: Path) -> FaceDetector:
    """A detector on the CPU, without an engine being published.

    Raises:
        ConfigurationRefused: the network is no detector.
    """
    model, manifest = headless_model(folder, cache)
    if manifest.detection is None:
        raise ConfigurationRefused(f"network {manifest.name} is no detector", "Name a detection network.")
    return FaceDetector(open_network(model, manifest, _ON_CPU), manifest.preprocessing, manifest.detection)


def build_engine(folder: Path, settings: Inference, cache: Path) -> EngineRecord:
    """Build, prove and publish the engine of one network.

    Args:
        folder: the network's folder with its manifest.
        settings: what to build for and where to publish.
        cache: folder of fetched archives.

    Raises:
        DeviceError: a step failed; nothing was published.
    """
    with locked(settings.engines):
        return _build_locked(folder, settings, cache)


def _build_locked(folder: Path, settings: Inference, cache: Path) -> EngineRecord:
    proven = _proven_model(folder, cache)
    accelerator, *lower = Target(settings.accelerator, settings.policy, settings.threads).permitted()
    while True:
        try:
            return _build_for(accelerator, proven, settings)
        except EngineRefused as refusal:
            if not lower or _serves_faster(proven.manifest, settings, lower):
                raise
            why = f"not for {accelerator.value}: {refusal.args[0]}"
            say(f"{proven.manifest.name}: {why}; allow_lower: {lower[0].value} next")
        accelerator, *lower = lower


def _serves_faster(manifest: Manifest, settings: Inference, lower: Sequence[Accelerator]) -> bool:
    """Whether what is published runs on something faster than these, so that they must not take its place."""
    target = Target(settings.accelerator, settings.policy, settings.threads)
    try:
        return load_engine(settings.engines, manifest, target).accelerator not in lower
    except EngineRefused:
        return False


def _proven_model(folder: Path, cache: Path) -> _Proven:
    manifest = load_manifest(folder)
    source = source_network(manifest, cache)
    say(f"{manifest.name}: rewriting ({', '.join(rewrite.value for rewrite in manifest.recipe)})")
    model = device_model(source, manifest, folder)
    if manifest.activation_ranges is None:  # what is quantised is for CPUs alone; elsewhere it does not load
        refuse_unfit(portable_model(model), manifest)
    photos = sample_photos(cache)
    say(f"{manifest.name}: comparing with OpenCV's reading of the original")
    full = open_network(model, manifest, _ON_CPU)
    checks = check_against_witness(source, full, photos)
    golden = _golden_vectors(full, golden_input(manifest, photos))
    return _Proven(folder, manifest, model, full, golden, photos, checks)


def _build_for(accelerator: Accelerator, proven: _Proven, settings: Inference) -> EngineRecord:
    """The engine for one accelerator, in the lowest precision that passes the gates."""
    lowest, *higher = ACCELERATORS[accelerator].precisions
    say(f"{proven.manifest.name}: building for {accelerator.value}")
    while True:
        basis = Basis(accelerator, lowest, read_platform(accelerator))
        with workshop(settings.engines) as making:
            record = _made(making, basis, proven, settings)
            try:
                record = _gated(making, record, proven)
            except EngineRefused as refusal:
                if not higher:
                    raise
                say(f"{record.name}: {lowest.value} does not do: {refusal.args[0]}")
            else:
                publish(settings.engines, making, record)
                return record
        lowest, *higher = higher


def _made(making: Path, basis: Basis, proven: _Proven, settings: Inference) -> EngineRecord:
    """All files of an engine in a folder, and their record."""
    for name, content in ((MODEL_FILE, proven.model), (GOLDEN_FILE, proven.golden)):
        write_durably(making / name, content)
    took_s = _compiled(making, basis, proven, settings) if ACCELERATORS[basis.accelerator].compiles else 0.0
    hashed = model_hash(proven.model, proven.manifest)
    record = EngineRecord(
        name=proven.manifest.name,
        identity=engine_identity(hashed, proven.manifest, basis),
        model_hash=hashed,
        basis=basis,
        asked=settings.accelerator,
        asked_platform=read_platform(settings.accelerator),
        files=hashes(making),
        built_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=round(took_s, 1),
        warm_ms=0.0,  # nothing has run yet
        checks=dict(proven.checks),
    )
    write_record(making, record)
    return record


def _compiled(making: Path, basis: Basis, proven: _Proven, settings: Inference) -> float:
    """What the accelerator's own builder leaves; seconds that it took."""
    parsed, compiled = making / _PARSED_FILE, making / COMPILED_FOLDER
    parsed.write_bytes(portable_model(proven.model))
    compiled.mkdir()
    order = Order(
        network=str(proven.folder),
        model=str(parsed),
        folder=str(compiled),
        timings=str(settings.engines / _TIMINGS_FOLDER),
        accelerator=basis.accelerator.value,
        precision=basis.precision.value,
    )
    took_s = compile_engine(order, proven.manifest.name, last_build_s(settings.engines, proven.manifest.name))
    parsed.unlink()
    return took_s


def _gated(making: Path, record: EngineRecord, proven: _Proven) -> EngineRecord:
    """The record of an engine that the daemon would load, and that sees what full precision sees."""
    accelerator = record.basis.accelerator
    # As the daemon loads it: on a CPU, one core for each run.
    network = open_engine(making, proven.manifest, Target(accelerator, Policy.STRICT, threads=1))
    # On the CPU it is the device model itself.
    cpu = accelerator is Accelerator.CPU
    found = {} if cpu else check_accuracy(network, proven.full, dict(proven.photos))
    record = dataclasses.replace(record, warm_ms=round(warm_ms(network), 2), checks=record.checks | found)
    write_record(making, record)
    return record


def _golden_vectors(network: OnnxNetwork, batch: Floats) -> bytes:
    """Input and outputs of the device model in full precision, as .npz."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"input": batch, **network.run(batch)}
    np.savez(buffer, **arrays)
    return buffer.getvalue()
