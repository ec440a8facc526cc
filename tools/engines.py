"""`fvctl engines build|list|verify`: makes the engines of this device, and says what is there.

A build fetches the pinned network, rewrites it into the device model, proves that model against an independent
witness, opens it on the configured accelerator, checks golden vectors there, and only then publishes the folder with
one atomic link. Whatever fails, the old engine goes on serving.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from daemon.config import Accelerator, Inference, Policy, load_config
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.face.detection import FaceDetector
from daemon.inference.accelerators import ONNXRUNTIME_VERSION, Target, engine_identity
from daemon.inference.engine import GOLDEN_FILE, MODEL_FILE, RECORD_FILE, EngineRecord, load_engine
from daemon.inference.network import OnnxNetwork, open_network
from daemon.manifest import Manifest, Rewrite, load_manifest, model_hash
from daemon.records import Floats
from daemon.yaml_file import read_yaml
from tools.console import NEEDS_DOING, OK, actions, say, show_rows
from tools.fetch import fetch_archive, read_member
from tools.publication import SHORT, locked, publish
from tools.recipe import device_model
from tools.samples import sample_photos
from tools.witness import check_against_witness, golden_input

_ON_CPU = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=1)


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
    manifest = load_manifest(folder)
    source = source_network(manifest, cache)
    say(f"{manifest.name}: rewriting ({', '.join(rewrite.value for rewrite in manifest.recipe)})")
    model = device_model(source, manifest, folder)
    photos = sample_photos(cache)
    say(f"{manifest.name}: comparing with OpenCV's reading of the original")
    on_cpu = open_network(model, manifest, _ON_CPU)
    checks = check_against_witness(source, on_cpu, photos)
    golden = _golden_vectors(on_cpu, golden_input(manifest, photos))
    say(f"{manifest.name}: building for {settings.accelerator.value}")
    network = open_network(model, manifest, Target(settings.accelerator, settings.policy, settings.threads))
    record = EngineRecord(
        name=manifest.name,
        identity=engine_identity(model, manifest, settings.accelerator),
        model_hash=model_hash(model, manifest),
        model_sha256=hashlib.sha256(model).hexdigest(),
        golden_sha256=hashlib.sha256(golden).hexdigest(),
        accelerator=settings.accelerator,
        onnxruntime=ONNXRUNTIME_VERSION,
        built_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        checks=checks,
    )
    publish(settings.engines, record, {MODEL_FILE: model, GOLDEN_FILE: golden}, network)
    return record


def _golden_vectors(network: OnnxNetwork, batch: Floats) -> bytes:
    """Input and outputs of the device model in full precision, as .npz."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"input": batch, **network.run(batch)}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _names(settings: Inference) -> tuple[str, str]:
    return settings.detection, settings.recognition


def _build(args: argparse.Namespace, settings: Inference) -> int:
    cache = settings.engines.parent / "cache"
    wanted = [name for name in _names(settings) if not (args.missing and _loads(settings, name))]
    records = [build_engine(settings.networks / name, settings, cache) for name in wanted]
    show_rows([_row(record) | record.checks for record in records], args.json)
    return OK


def _loads(settings: Inference, name: str) -> bool:
    target = Target(settings.accelerator, settings.policy, settings.threads)
    try:
        load_engine(settings.engines, load_manifest(settings.networks / name), target)
    except EngineRefused as missing:
        say(f"{name}: {missing.args[0]}")
        return False
    return True


def _row(record: EngineRecord) -> dict[str, object]:
    return {
        "network": record.name,
        "engine": record.identity[:SHORT],
        "accelerator": record.accelerator.value,
        "onnxruntime": record.onnxruntime,
        "built": record.built_utc,
    }


def _list(args: argparse.Namespace, settings: Inference) -> int:
    rows = []
    for folder in sorted(settings.engines.glob("[!.]*-*")):
        if folder.is_symlink():
            continue
        record = read_yaml(folder / RECORD_FILE, EngineRecord)
        current = (settings.engines / record.name).resolve() == folder.resolve()
        rows.append(_row(record) | {"current": "yes" if current else "no"})
    show_rows(rows, args.json)
    return OK


def _verify(args: argparse.Namespace, settings: Inference) -> int:
    rows, worst = [], OK
    for name in _names(settings):
        target = Target(settings.accelerator, settings.policy, settings.threads)
        try:
            network = load_engine(settings.engines, load_manifest(settings.networks / name), target)
            finding = {
                "ok": "yes",
                "finding": f"runs on {network.accelerator.value}, golden vectors agree",
                "remedy": "",
            }
        except (EngineRefused, ConfigurationRefused) as error:
            worst = NEEDS_DOING
            finding = {"ok": "no", "finding": str(error.args[0]), "remedy": error.remedy}
        rows.append({"network": name, **finding})
    show_rows(rows, args.json)
    return worst


def run(args: argparse.Namespace) -> int:
    """Build, list or verify."""
    return int(args.act(args, load_config(args.config).inference))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    build = add("build", _build, "make the engines of this device: fetch, rewrite, prove, publish")
    build.add_argument("--missing", action="store_true", help="only those that are not there, or do not load")
    add("list", _list, "every engine that was built, and which are in use")
    add("verify", _verify, "whether the engines compute what they should, and on the right accelerator")
