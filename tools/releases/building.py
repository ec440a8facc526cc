"""Puts a release together: to the byte the same each time, whoever builds it, and refused where something is missing.

faceverifyd-VERSION-PLATFORM.tar
  release.json             the manifest
  wheels/                  every package, the appliance's own among them
  environment.txt          the others by version and hash, and nothing else may be installed
  appliance.txt            the appliance's own, in the same way
  networks/                archives that networks and sample photos come from
  trt_engines/             manifests, calibrations, weights
  golden/                  input and output of each network in full precision
  systemd/ units/          units and configuration; the units as systemd reads them on this platform
  configuration.schema.json, parts.cdx.json, README.md, CHANGELOG.md, LICENSE
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pydantic

from daemon import __version__
from daemon.config import Accelerator, Config, Policy
from daemon.errors import ReleaseRefused
from daemon.inference.accelerators import Target
from daemon.inference.network import open_network
from daemon.manifest import Manifest as Network
from daemon.manifest import load_manifest
from tools.console import say
from tools.engines import source_network
from tools.fetch import fetch_archive
from tools.recipe import device_model
from tools.releases import archive
from tools.releases.closure import fetch_closure, installed_bytes, requirements
from tools.releases.manifest import MANIFEST_FILE, SECURITY_FLOOR, Manifest, Proof, archive_name, sha256_of
from tools.releases.migrations import SCHEMA
from tools.releases.parts_list import parts_list
from tools.releases.platforms import Platform
from tools.releases.runtime_wheel import refuse_unfit
from tools.samples import sample_archive, sample_photos
from tools.witness import golden_input

REPOSITORY = Path(__file__).resolve().parents[2]

_ON_CPU = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=1)
_FOLDERS = ("trt_engines", "systemd")
_TEXTS = ("README.md", "CHANGELOG.md", "LICENSE")

PROOF = Proof(ready_s=120.0, watched_s=20.0, comparison_ms=2000.0, commands=(("selftest",),))
"""Source: TimeoutStartSec= of the unit; ten restarts of RestartSec=; twenty times a comparison on two busy cores
(`fvctl bench`). A release that is slower by less is found by `fvctl bench`, not here."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to build.

    Attributes:
        platform: whom for.
        out: folder for the release's folder and its archive.
        cache: folder of fetched archives; wheels are in `wheels` below it.
        lock: the lock file that the wheels are taken from.
        runtime: the device's own onnxruntime wheel; None where the package index has one.
        epoch_s: the time that everything gets, seconds since 1970.
    """

    platform: Platform
    out: Path
    cache: Path
    lock: Path
    runtime: Path | None
    epoch_s: int


def build_release(order: Order) -> Path:
    """Build the release of this checkout for one platform.

    Returns:
        The archive; the folder that it holds is beside it.

    Raises:
        DeviceError: something is missing or does not fit; what was there before is as it was.
    """
    _refuse_unnamed(__version__)
    wheels = _wheels(order)
    name = archive_name(__version__, order.platform.name)
    folder = order.out / f".making-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _fill(folder, wheels, order)
        archive.pack(folder, order.out / name, order.epoch_s)
        final = order.out / name.removesuffix(".tar")
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return order.out / name


def _refuse_unnamed(version: str) -> None:
    headings = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if version not in headings:
        raise ReleaseRefused(
            f"CHANGELOG.md does not name {version}; it names {', '.join(headings) or 'nothing'}",
            "Say in CHANGELOG.md what is new, or set the version.",
        )


def _wheels(order: Order) -> list[Path]:
    """Every wheel but the appliance's own."""
    needs, given = order.platform.needs_own_runtime, order.runtime
    if given is not None and not needs:
        raise ReleaseRefused(f"{order.platform.name} takes onnxruntime from the package index", "Leave --onnxruntime.")
    if needs and given is None:
        raise ReleaseRefused(
            f"{order.platform.name} needs an onnxruntime wheel with TensorRT; the package index has none",
            "Name the wheel that was built for the device: --onnxruntime WHEEL",
        )
    if given is not None:
        refuse_unfit(given, order.platform)
    say(f"wheels for {order.platform.name}")
    found = fetch_closure(order.lock.read_text("utf-8"), order.platform, order.cache / "wheels")
    return sorted([*found, *([given] if given is not None else [])], key=lambda wheel: wheel.name)


def _fill(folder: Path, wheels: list[Path], order: Order) -> None:
    _copy_texts(folder, order.platform)
    (folder / "wheels").mkdir()
    own = _own_wheel(folder / "wheels", order.epoch_s)
    for wheel in wheels:
        shutil.copyfile(wheel, folder / "wheels" / wheel.name)
    environment = requirements(wheels)
    (folder / "environment.txt").write_bytes(environment)
    (folder / "appliance.txt").write_bytes(requirements([own]))
    networks = _networks(folder, order.cache)
    made = datetime.fromtimestamp(order.epoch_s, timezone.utc)
    (folder / "parts.cdx.json").write_bytes(parts_list([*wheels, own], networks, __version__, made))
    schema = pydantic.TypeAdapter(Config).json_schema()
    (folder / "configuration.schema.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", "utf-8")
    manifest = Manifest(
        format=1,
        version=__version__,
        platform=order.platform.name,
        floor=SECURITY_FLOOR,
        built_utc=made.isoformat(timespec="seconds"),
        configuration=SCHEMA,
        environment=sha256_of(folder / "environment.txt"),
        environment_bytes=installed_bytes(wheels),
        proof=PROOF,
        files=archive.list_files(folder),
    )
    (folder / MANIFEST_FILE).write_bytes(manifest.content())


def _copy_texts(folder: Path, target: Platform) -> None:
    """Everything that is taken as it is; and the units with the drop-ins of this platform."""
    for name in _FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in _TEXTS:
        shutil.copyfile(REPOSITORY / name, folder / name)
    units = folder / "units"
    units.mkdir()
    for unit in (folder / "systemd").iterdir():
        if unit.suffix in (".service", ".socket", ".timer"):
            shutil.copyfile(unit, units / unit.name)
    dropped = {"faceverifyd.service": target.drop_ins, "faceverifyd-engines.service": target.drop_ins[:1]}
    for unit_name, drop_ins in dropped.items():
        (units / f"{unit_name}.d").mkdir()
        for drop_in in drop_ins:
            shutil.copyfile(folder / "systemd" / drop_in, units / f"{unit_name}.d" / drop_in)


def _own_wheel(wheels: Path, epoch_s: int) -> Path:
    """The appliance's own wheel; hatchling gives all of it the time and modes that it is told."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch_s)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, umask=0o022, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseRefused(f"the appliance's own wheel: {done.stderr.strip()}", "Install the extra `development`.")
    (own,) = wheels.glob("faceverifyd-*.whl")
    return own


def _networks(folder: Path, cache: Path) -> list[Network]:
    """Archives that the networks come from, and golden vectors of each in full precision."""
    archives, golden = folder / "networks", folder / "golden"
    archives.mkdir()
    golden.mkdir()
    shutil.copy(sample_archive(cache), archives)
    photos, found = sample_photos(cache), []
    for place in sorted(path.parent for path in (REPOSITORY / "trt_engines").glob("*/manifest.yaml")):
        network = load_manifest(place)
        source = network.source
        shutil.copy(fetch_archive(source.requirement, source.archive_sha256, cache), archives)
        say(f"golden vectors of {network.name}")
        model = device_model(source_network(network, cache), network, place)
        batch = golden_input(network, photos)
        buffer = io.BytesIO()
        np.savez(buffer, input=batch, **open_network(model, network, _ON_CPU).run(batch))  # type: ignore[arg-type]
        (golden / f"{network.name}.npz").write_bytes(buffer.getvalue())
        found.append(network)
    return found
