"""Engines: loaded only where they are whole, of this device, where they should run, and right."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import yaml

from daemon.app import Networks
from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference import (
    ACCELERATORS,
    GOLDEN_FILE,
    MODEL_FILE,
    RECORD_FILE,
    Target,
    check_golden,
    cosine,
    engine_identity,
    load_engine,
    open_network,
)
from daemon.manifest import Manifest, Profile, load_manifest
from tests.conftest import REPOSITORY, Site, need

CPU = Target(Accelerator.CPU, Policy.STRICT, 1)
MANIFEST = load_manifest(REPOSITORY / "trt_engines" / "yunet")


@pytest.fixture
def copied(site: Site, engines: Path, tmp_path: Path) -> Path:
    """A copy of the site's engines that a test may damage."""
    shutil.copytree(engines / "yunet", tmp_path / "yunet")
    return tmp_path


def _record(engines: Path, **changes: Any) -> None:  # noqa: ANN401 - whatever YAML can hold
    path = engines / "yunet" / RECORD_FILE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def _write_pinned(engines: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash in the record, as someone who may write there could."""
    (engines / "yunet" / name).write_bytes(content)
    field = {MODEL_FILE: "model_sha256", GOLDEN_FILE: "golden_sha256"}[name]
    _record(engines, **{field: hashlib.sha256(content).hexdigest()})


def _refusal(engines: Path, target: Target = CPU, manifest: Manifest = MANIFEST) -> EngineRefused:
    with pytest.raises(EngineRefused) as refused:
        load_engine(engines, manifest, target)
    return refused.value


def _without_tensorrt() -> None:
    need("onnxruntime without TensorRT", "TensorrtExecutionProvider" not in ort.get_available_providers())


def test_a_whole_engine_loads_and_says_where_it_runs(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    assert network.accelerator is Accelerator.CPU
    assert not network.failed


def test_a_missing_engine_is_refused_with_the_command_that_builds_it(tmp_path: Path) -> None:
    assert _refusal(tmp_path).remedy == "Run: fvctl engines build"


@pytest.mark.parametrize("name", [MODEL_FILE, GOLDEN_FILE])
def test_one_flipped_bit_in_a_file_is_damage(copied: Path, name: str) -> None:
    path = copied / "yunet" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{name} is damaged" in str(_refusal(copied))


@pytest.mark.parametrize("name", [MODEL_FILE, GOLDEN_FILE])
def test_a_file_that_is_gone_is_named(copied: Path, name: str) -> None:
    (copied / "yunet" / name).unlink()
    assert f"{name} cannot be read" in str(_refusal(copied))


def test_a_damaged_record_is_refused_with_the_command_that_builds_it(copied: Path) -> None:
    _record(copied, identity="short")
    assert _refusal(copied).remedy == "Run: fvctl engines build"


def test_another_version_of_onnxruntime_makes_an_engine_stale(copied: Path) -> None:
    record = yaml.safe_load((copied / "yunet" / RECORD_FILE).read_text())
    _record(copied, identity=hashlib.sha256(record["identity"].encode()).hexdigest(), onnxruntime="1.0.0")
    assert "is stale: it was built with onnxruntime 1.0.0" in str(_refusal(copied))


def test_a_changed_manifest_makes_an_engine_stale(copied: Path) -> None:
    other = dataclasses.replace(MANIFEST, preprocessing=dataclasses.replace(MANIFEST.preprocessing, scale=0.5))
    assert "is stale" in str(_refusal(copied, manifest=other))


def test_an_engine_built_for_the_cpu_is_stale_for_tensorrt(copied: Path) -> None:
    assert "is stale" in str(_refusal(copied, Target(Accelerator.TENSORRT, Policy.ALLOW_LOWER, 1)))


def test_swapped_weights_under_a_corrected_hash_are_stale(copied: Path, engines: Path) -> None:
    _write_pinned(copied, MODEL_FILE, (engines / "sface" / MODEL_FILE).read_bytes())
    assert "is stale" in str(_refusal(copied))


def _npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def _golden(engines: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(engines / "yunet" / GOLDEN_FILE, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def test_a_network_that_computes_something_else_is_refused(copied: Path) -> None:
    golden = _golden(copied)
    golden["kps_16"] = golden["kps_16"] + golden["kps_16"].std()
    _write_pinned(copied, GOLDEN_FILE, _npz(golden))
    assert "output kps_16 has cosine 0." in str(_refusal(copied))


@pytest.mark.parametrize("output", ["cls_8", "kps_32"])
def test_a_network_that_computes_no_numbers_is_refused_whichever_output_it_is(copied: Path, output: str) -> None:
    golden = _golden(copied)
    golden[output] = np.full_like(golden[output], np.nan)
    _write_pinned(copied, GOLDEN_FILE, _npz(golden))
    assert f"output {output} has cosine nan" in str(_refusal(copied))


def test_the_same_network_reproduces_its_golden_vectors(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    assert check_golden(network, (copied / "yunet" / GOLDEN_FILE).read_bytes()) == pytest.approx(1, abs=1e-6)


def test_strict_refuses_an_accelerator_that_is_not_there(copied: Path) -> None:
    _without_tensorrt()
    model = (copied / "yunet" / MODEL_FILE).read_bytes()
    with pytest.raises(EngineRefused, match="tensorrt") as refused:
        open_network(model, MANIFEST, Target(Accelerator.TENSORRT, Policy.STRICT, 1))
    assert "inference.accelerator: cpu" in refused.value.remedy


def test_allow_lower_runs_on_the_cpu_and_says_so(copied: Path) -> None:
    _without_tensorrt()
    model = (copied / "yunet" / MODEL_FILE).read_bytes()
    network = open_network(model, MANIFEST, Target(Accelerator.TENSORRT, Policy.ALLOW_LOWER, 1))
    assert network.accelerator is Accelerator.CPU
    assert "cls_8" in network.run(np.zeros((1, 3, 64, 64), np.float32))


@pytest.mark.parametrize("model", [b"", b"no model", bytes(1000)])
def test_what_is_no_model_does_not_load(model: bytes) -> None:
    with pytest.raises(EngineRefused, match="network yunet does not load on cpu"):
        open_network(model, MANIFEST, CPU)


def test_a_failed_run_marks_the_network_until_one_succeeds(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    with pytest.raises(EngineRefused, match="network yunet failed"):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert network.failed
    network.run(np.zeros((1, 3, 64, 64), np.float32))
    assert not network.failed


def test_a_network_that_failed_works_again_once_its_golden_vectors_agree(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    with pytest.raises(EngineRefused):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert network.works()
    assert not network.failed


def test_a_network_that_failed_does_not_work_while_it_computes_something_else(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    golden = _golden(copied)
    network.golden = _npz(golden | {"kps_16": golden["kps_16"] + golden["kps_16"].std()})
    with pytest.raises(EngineRefused):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert not network.works()


def test_a_network_still_proves_itself_after_its_files_are_gone(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    shutil.rmtree(copied)
    assert network.reproduces()


def test_several_threads_get_what_one_gets(networks: Networks) -> None:
    batch = np.random.default_rng(1).uniform(0, 255, (1, 3, 320, 320)).astype(np.float32)
    alone = networks.detection.run(batch)["kps_8"]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(networks.detection.run, [batch] * 8):
            np.testing.assert_array_equal(found["kps_8"], alone)


def _identities() -> dict[str, str]:
    shape = (1, 3, 64, 64)
    other_profile = dataclasses.replace(MANIFEST, profile=Profile(shape, shape, shape))
    other_use = dataclasses.replace(MANIFEST, preprocessing=dataclasses.replace(MANIFEST.preprocessing, offset=1.0))
    return {
        "same": engine_identity(b"model", MANIFEST, Accelerator.CPU),
        "other weights": engine_identity(b"modeL", MANIFEST, Accelerator.CPU),
        "other profile": engine_identity(b"model", other_profile, Accelerator.CPU),
        "other preprocessing": engine_identity(b"model", other_use, Accelerator.CPU),
        "CUDA": engine_identity(b"model", MANIFEST, Accelerator.CUDA),
        "TensorRT": engine_identity(b"model", MANIFEST, Accelerator.TENSORRT),
    }


def test_whatever_makes_an_engine_another_one_changes_its_identity() -> None:
    identities = _identities()
    assert len(set(identities.values())) == len(identities)


def test_an_identity_is_the_same_every_time() -> None:
    assert _identities() == _identities()


def test_tensorrt_is_told_all_three_shapes_of_the_profile() -> None:
    options = ACCELERATORS[Accelerator.TENSORRT].options(MANIFEST.profile, "input")
    # By hand from trt_engines/yunet/manifest.yaml, in the words of onnxruntime's TensorRT provider.
    assert options["trt_profile_min_shapes"] == "input:1x3x32x32"
    assert options["trt_profile_opt_shapes"] == "input:2x3x320x320"
    assert options["trt_profile_max_shapes"] == "input:4x3x1280x1280"


def test_the_cosine_is_taken_over_the_whole_array() -> None:
    # (1, 2, 2) and (2, 1, 2) have length 3 and product 8.
    assert cosine(np.array([[1.0], [2.0], [2.0]]), np.array([2.0, 1.0, 2.0])) == pytest.approx(8 / 9)


def test_nothing_is_reported_to_the_makers_of_onnxruntime(tmp_path: Path) -> None:
    # It keeps what it is about to send below the home folder; where CI is set it would not report in any case.
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    opened = "import daemon.inference; import onnxruntime; onnxruntime.SessionOptions()"
    subprocess.run([sys.executable, "-c", opened], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
