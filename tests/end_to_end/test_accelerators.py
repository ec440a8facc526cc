"""The real wheel with GPUs on a machine without one: strict refuses, allow_lower serves on the CPU and says so.

onnxruntime alone would do neither: it lists TensorRT as available, and runs on the CPU without a word.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Accelerator
from daemon.inference.accelerators import Basis, Precision, engine_identity
from daemon.inference.engine import read_record
from daemon.inference.platform import Platform
from daemon.inference.tensorrt import building_options, engine_options, loading_options
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY, STATE, Site
from tests.daemon.inference.copies import MANIFEST
from tests.running_daemon import RunningDaemon
from tools.publication import write_record


class GpuSite:
    """A site whose onnxruntime has GPUs, and whose engines are its own."""

    def __init__(self, folder: Path, site_packages: Path) -> None:
        self.site = Site(folder, folder / "engines")
        self.environment = {"PYTHONPATH": f"{site_packages}:{REPOSITORY}"}
        self._fvctl = site_packages.parents[2] / "bin" / "fvctl"
        os.symlink(STATE / "cache", folder / "cache")

    def config(self, accelerator: str, policy: str) -> Path:
        """A configuration that asks for an accelerator."""
        return self.site.write(f"{accelerator}-{policy}.yaml", inference={"accelerator": accelerator, "policy": policy})

    def fvctl(self, config: Path, *arguments: str) -> tuple[int, Any, str]:
        """Exit code, what was answered in JSON, and what people read."""
        command = [str(self._fvctl), *arguments, "--json", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
        return done.returncode, json.loads(done.stdout or "null"), done.stderr


@pytest.fixture(scope="module")
def gpu_site(gpu_site_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> GpuSite:
    """A site that asked for TensorRT, was allowed to take less, and got engines for the CPU."""
    made = GpuSite(tmp_path_factory.mktemp("gpu"), gpu_site_packages)
    code, rows, said = made.fvctl(made.config("tensorrt", "allow_lower"), "engines", "build")
    assert code == 0, said
    assert [(row["network"], row["accelerator"]) for row in rows] == [("yunet", "cpu"), ("sface", "cpu")]
    assert "yunet: not for tensorrt" in said
    assert "yunet: not for cuda" in said
    return made


@pytest.fixture(scope="module")
def lowered(gpu_site: GpuSite) -> Iterator[RunningDaemon]:
    """A daemon that was configured for TensorRT and runs on the CPU."""
    config = gpu_site.config("tensorrt", "allow_lower")
    with RunningDaemon(config, gpu_site.site.folder / "lowered.log", gpu_site.environment) as running:
        yield running


def test_readiness_says_that_it_runs_on_less_than_was_asked_for(lowered: RunningDaemon) -> None:
    answer = lowered.get("/readyz").json
    assert answer["ready"] is True
    assert answer["accelerators"] == {"yunet": "cpu", "sface": "cpu"}
    assert answer["accelerator_lowered"] is True


def test_metrics_and_journal_say_so_too(lowered: RunningDaemon) -> None:
    metrics = lowered.get("/metrics").body.decode()
    assert 'faceverifyd_accelerator_info{accelerator="cpu",asked="tensorrt",network="sface"} 1.0' in metrics
    assert 'faceverifyd_warning{warning="accelerator_lowered"} 1.0' in metrics
    assert "accelerator_lowered" in [event.get("reason") for event in lowered.events if event["event"] == "warning"]


def test_doctor_says_so_and_what_is_missing(gpu_site: GpuSite) -> None:
    asked = ("--only", "engines", "--only", "accelerator", "--only", "onnxruntime_wheel")
    code, rows, _said = gpu_site.fvctl(gpu_site.config("tensorrt", "allow_lower"), "doctor", *asked)
    found = {row["id"]: row for row in rows}
    assert code == 1
    assert found["engines"]["status"] == "ok"
    assert found["accelerator"]["status"] == "needs_doing"
    assert "tensorrt is asked for, the engines are yunet on cpu, sface on cpu" in found["accelerator"]["seen"]
    assert found["onnxruntime_wheel"]["status"] == "needs_doing"
    assert "needs libcublas.so" in found["onnxruntime_wheel"]["seen"]
    assert "libnvinfer.so.10" in found["onnxruntime_wheel"]["seen"]
    assert "libc.so.6" not in found["onnxruntime_wheel"]["seen"]


def test_strict_does_not_start_on_engines_of_the_cpu(gpu_site: GpuSite) -> None:
    refused = _refused(gpu_site, gpu_site.config("tensorrt", "strict"))
    assert "was built for cpu, the configuration asks for tensorrt (strict)" in refused["reason"]
    assert refused["remedy"] == "Run: fvctl engines build"


def test_a_build_under_strict_is_refused_with_what_to_install_and_the_old_engines_go_on_serving(
    gpu_site: GpuSite,
) -> None:
    engines = gpu_site.site.folder / "engines"
    before = sorted(engines.glob("[!.]*"))
    code, _rows, said = gpu_site.fvctl(gpu_site.config("tensorrt", "strict"), "engines", "build")
    assert code == 2
    assert "yunet: tensorrt builds in fp16; minutes, the first time" in said
    assert "the network does not load on tensorrt: Please install TensorRT libraries" in said
    assert "Install the device's own onnxruntime wheel" in said
    assert sorted(engines.glob("[!.]*")) == before
    assert list(engines.glob(".making-*")) == []
    code, rows, _said = gpu_site.fvctl(gpu_site.config("tensorrt", "allow_lower"), "engines", "verify")
    assert (code, [row["finding"] for row in rows]) == (
        0,
        ["runs on cpu, lower than tensorrt, golden vectors agree"] * 2,
    )


def test_engines_that_claim_tensorrt_do_not_run_on_the_cpu_where_lower_is_allowed(
    gpu_site: GpuSite, tmp_path: Path
) -> None:
    """Where the accelerator went away after the build, what was built for it cannot serve."""
    claimed = tmp_path / "claimed"
    shutil.copytree(gpu_site.site.folder / "engines", claimed)
    for name in ("yunet", "sface"):
        _claim_tensorrt(claimed / name)
    changes = {"accelerator": "tensorrt", "policy": "allow_lower", "engines": str(claimed)}
    code, rows, _said = gpu_site.fvctl(gpu_site.site.write("claimed.yaml", inference=changes), "engines", "verify")
    assert (code, [row["ok"] for row in rows]) == (1, ["no", "no"])
    assert "the network does not load on tensorrt" in rows[0]["finding"]


def test_a_lowered_engine_is_not_built_again_while_the_device_is_the_same(gpu_site: GpuSite) -> None:
    code, rows, _said = gpu_site.fvctl(gpu_site.config("tensorrt", "allow_lower"), "engines", "build", "--missing")
    assert (code, rows) == (0, [])


def test_every_option_that_tensorrt_is_told_is_one_that_the_provider_knows(gpu_site_packages: Path) -> None:
    library = gpu_site_packages / "onnxruntime" / "capi" / "libonnxruntime_providers_tensorrt.so"
    known = library.read_bytes()
    told = {
        **engine_options(MANIFEST.profile, MANIFEST.input, fp16=True),
        **building_options(Path("/compiled"), Path("/timings"), "yunet"),
        **loading_options(Path("/compiled/model_ctx.onnx")),
    }
    assert [name for name in told if f"{name}\0".encode() not in known] == []


def _claim_tensorrt(folder: Path) -> None:
    """Rewrite a record as if the engine had been built for TensorRT here."""
    record = read_record(folder)
    basis = Basis(Accelerator.TENSORRT, Precision.FP16, Platform(record.basis.platform.onnxruntime))
    identity = engine_identity(record.model_hash, load_manifest(REPOSITORY / "trt_engines" / record.name), basis)
    write_record(folder, dataclasses.replace(record, identity=identity, basis=basis))


def _refused(gpu_site: GpuSite, config: Path) -> dict[str, Any]:
    daemon = RunningDaemon(config, gpu_site.site.folder / f"{config.stem}.log", gpu_site.environment)
    with pytest.raises(RuntimeError, match="gunicorn ended"), daemon:
        pass
    (line,) = [event for event in daemon.events if event["event"] == "start_refused"]
    return line
