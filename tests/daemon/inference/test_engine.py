"""Engines: loaded only where they are whole, of this device, where they should run, and right."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.engine import GOLDEN_FILE, MODEL_FILE, RECORD_FILE, load_engine
from daemon.manifest import Manifest
from tests.daemon.inference.copies import CPU, MANIFEST, change_record, golden, npz, write_pinned


def _refusal(engines: Path, target: Target = CPU, manifest: Manifest = MANIFEST) -> EngineRefused:
    with pytest.raises(EngineRefused) as refused:
        load_engine(engines, manifest, target)
    return refused.value


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
    change_record(copied, identity="short")
    assert _refusal(copied).remedy == "Run: fvctl engines build"


def test_another_version_of_onnxruntime_makes_an_engine_stale(copied: Path) -> None:
    record = yaml.safe_load((copied / "yunet" / RECORD_FILE).read_text())
    older = record["basis"] | {"platform": record["basis"]["platform"] | {"onnxruntime": "1.0.0"}}
    change_record(copied, identity=hashlib.sha256(record["identity"].encode()).hexdigest(), basis=older)
    assert "is stale: it was built with onnxruntime 1.0.0" in str(_refusal(copied))


def test_a_changed_manifest_makes_an_engine_stale(copied: Path) -> None:
    other = dataclasses.replace(MANIFEST, preprocessing=dataclasses.replace(MANIFEST.preprocessing, scale=0.5))
    assert "is stale" in str(_refusal(copied, manifest=other))


def test_an_engine_built_for_the_cpu_is_stale_for_tensorrt(copied: Path) -> None:
    refusal = str(_refusal(copied, Target(Accelerator.TENSORRT, Policy.STRICT, 1)))
    assert "is stale: it was built for cpu, the configuration asks for tensorrt (strict)" in refusal


def test_an_engine_built_for_the_cpu_serves_instead_of_tensorrt_where_lower_is_allowed(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, Target(Accelerator.TENSORRT, Policy.ALLOW_LOWER, 1))
    assert network.accelerator is Accelerator.CPU


def test_an_engine_of_another_accelerator_does_not_serve_on_the_cpu(copied: Path) -> None:
    record = yaml.safe_load((copied / "yunet" / RECORD_FILE).read_text())
    change_record(copied, basis=record["basis"] | {"accelerator": "tensorrt"})
    assert "is stale" in str(_refusal(copied, Target(Accelerator.TENSORRT, Policy.ALLOW_LOWER, 1)))
    assert "is stale: it was built for tensorrt" in str(_refusal(copied))


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_that_others_may_enter_is_refused_with_what_is_expected(copied: Path, mode: int) -> None:
    (copied / "yunet").chmod(mode)
    assert f"has mode {mode:04o}" in str(_refusal(copied))


@pytest.mark.parametrize("name", ["more.engine", "compiled/more.engine"])
def test_a_file_that_the_record_does_not_name_is_refused(copied: Path, name: str) -> None:
    (copied / "yunet" / name).parent.mkdir(exist_ok=True)
    (copied / "yunet" / name).write_bytes(b"code")
    assert f"holds {name}, which its record does not name" in str(_refusal(copied))


def test_a_file_that_the_record_names_and_that_was_changed_is_damage(copied: Path) -> None:
    files = yaml.safe_load((copied / "yunet" / RECORD_FILE).read_text())["files"]
    (copied / "yunet" / "more.engine").write_bytes(b"other code")
    change_record(copied, files=files | {"more.engine": hashlib.sha256(b"code").hexdigest()})
    assert "more.engine is damaged" in str(_refusal(copied))


def test_swapped_weights_under_a_corrected_hash_are_stale(copied: Path, engines: Path) -> None:
    write_pinned(copied, MODEL_FILE, (engines / "sface" / MODEL_FILE).read_bytes())
    assert "is stale" in str(_refusal(copied))


def test_a_network_that_computes_something_else_is_refused(copied: Path) -> None:
    wanted = golden(copied)
    wanted["kps_16"] = wanted["kps_16"] + wanted["kps_16"].std()
    write_pinned(copied, GOLDEN_FILE, npz(wanted))
    assert "output kps_16 has cosine 0." in str(_refusal(copied))


@pytest.mark.parametrize("output", ["cls_8", "kps_32"])
def test_a_network_that_computes_no_numbers_is_refused_whichever_output_it_is(copied: Path, output: str) -> None:
    wanted = golden(copied)
    wanted[output] = np.full_like(wanted[output], np.nan)
    write_pinned(copied, GOLDEN_FILE, npz(wanted))
    assert f"output {output} has cosine nan" in str(_refusal(copied))
