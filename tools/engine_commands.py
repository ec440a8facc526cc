"""`fvctl engines build|list|verify|prune|preflight`: makes the engines of this device, and says what is there."""

from __future__ import annotations

import argparse
from pathlib import Path

from daemon.config import Inference, load_config
from daemon.errors import ConfigurationRefused, DeviceError, EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.engine import EngineRecord, load_engine, read_record
from daemon.inference.network import OnnxNetwork
from daemon.inference.platform import read_platform
from daemon.manifest import load_manifest
from tools.console import NEEDS_DOING, OK, actions, say, show_rows
from tools.engines import build_engine, source_network
from tools.jetpacks import JETPACKS
from tools.portable import portable_model
from tools.preflight import preflight
from tools.publication import SHORT, is_current, locked, prune, published
from tools.recipe import device_model


def _names(settings: Inference) -> tuple[str, str]:
    return settings.detection, settings.recognition


def _load(settings: Inference, name: str) -> OnnxNetwork:
    target = Target(settings.accelerator, settings.policy, settings.threads)
    return load_engine(settings.engines, load_manifest(settings.networks / name), target)


def _build(args: argparse.Namespace, settings: Inference) -> int:
    cache = settings.engines.parent / "cache"
    wanted = [name for name in _names(settings) if not (args.missing and _serves(settings, name))]
    records = [build_engine(settings.networks / name, settings, cache) for name in wanted]
    show_rows([_row(record) | record.checks for record in records], args.json)
    return OK


def _serves(settings: Inference, name: str) -> bool:
    """Whether an engine need not be built: it loads, on what is asked for or on all that this device still has."""
    try:
        running_on = _load(settings, name).accelerator
        asked = settings.accelerator
        record = read_record(settings.engines / name)
        # One for a slower accelerator serves until the device is another: the same attempt would fail the same way.
        if running_on is asked or (record.asked, record.asked_platform) == (asked, read_platform(asked)):
            return True
        say(f"{name}: runs on {running_on.value}; the device has changed, trying {asked.value} again")
    except EngineRefused as missing:
        say(f"{name}: {missing.args[0]}")
    return False


def _row(record: EngineRecord) -> dict[str, object]:
    return {
        "network": record.name,
        "engine": record.identity[:SHORT],
        "accelerator": record.basis.accelerator.value,
        "precision": record.basis.precision.value,
        "platform": str(record.basis.platform),
        "built": record.built_utc,
    }


def _list(args: argparse.Namespace, settings: Inference) -> int:
    show_rows([_listed(folder) for folder in published(settings.engines)], args.json)
    return OK


def _listed(folder: Path) -> dict[str, object]:
    try:
        record = read_record(folder)
    except EngineRefused:  # an earlier version's; a damaged one in use is for `verify` to explain
        name, _, identity = folder.name.partition("-")
        unknown = {"accelerator": "", "precision": "", "platform": "its record cannot be read", "built": ""}
        return {"network": name, "engine": identity[:SHORT], **unknown, "current": "no"}
    return _row(record) | {"current": "yes" if is_current(folder, record.name) else "no"}


def _verify(args: argparse.Namespace, settings: Inference) -> int:
    rows, worst = [], OK
    for name in _names(settings):
        finding = {"ok": "yes", "finding": "", "remedy": ""}
        try:
            running_on = _load(settings, name).accelerator
            lower = "" if running_on is settings.accelerator else f", lower than {settings.accelerator.value}"
            finding["finding"] = f"runs on {running_on.value}{lower}, golden vectors agree"
        except (EngineRefused, ConfigurationRefused) as error:
            worst = NEEDS_DOING
            finding = {"ok": "no", "finding": str(error.args[0]), "remedy": error.remedy}
        rows.append({"network": name, **finding})
    show_rows(rows, args.json)
    return worst


def _prune(args: argparse.Namespace, settings: Inference) -> int:
    with locked(settings.engines):
        gone = prune(settings.engines)
    show_rows([{"removed": folder.name} for folder in gone], args.json)
    return OK


def _preflight(args: argparse.Namespace, settings: Inference) -> int:
    cache, worst, rows = settings.engines.parent / "cache", OK, []
    for name in _names(settings):
        folder = settings.networks / name
        manifest = load_manifest(folder)
        model = device_model(source_network(manifest, cache), manifest, folder)
        for jetpack in [args.jetpack] if args.jetpack else JETPACKS:
            try:
                faults = preflight(portable_model(model), manifest, jetpack)
            except DeviceError as error:
                faults = [str(error.args[0])]
            worst = NEEDS_DOING if faults else worst
            tensorrt = JETPACKS[jetpack].tensorrt
            row = {"network": name, "jetpack": jetpack, "tensorrt": tensorrt, "ok": "no" if faults else "yes"}
            rows.append(row | {"faults": "; ".join(faults)})
    show_rows(rows, args.json)
    return worst


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    return int(args.act(args, load_config(args.config).inference))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    build = add("build", _build, "make the engines of this device: fetch, rewrite, prove, publish")
    build.add_argument("--missing", action="store_true", help="only those that are not there, or do not load")
    add("list", _list, "every engine that was built, and which are in use")
    add("verify", _verify, "whether the engines compute what they should, and on the right accelerator")
    add("prune", _prune, "remove engines that neither serve nor served before those that do")
    flight = add("preflight", _preflight, "whether TensorRT can be expected to take the networks, told without a GPU")
    flight.add_argument("--jetpack", choices=sorted(JETPACKS), help="one major version (default: all)")
