"""The ranges of a network's layers are measured on faces, and are what its manifest can say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from daemon.config import load_config
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY, STATE, Site, need_8_bit_products
from tools.cli import main
from tools.engines import build_engine
from tools.quantise import activation_ranges

FOLDER = REPOSITORY / "trt_engines" / "sface_int8"


def test_every_layer_that_the_manifest_names_is_measured() -> None:
    faces = np.random.default_rng(1).uniform(0, 255, (4, 3, 112, 112)).astype(np.float32)
    found = activation_ranges(FOLDER, faces, STATE / "cache")
    named = load_manifest(FOLDER).activation_ranges
    assert named is not None
    assert list(found) == list(named)
    assert all(low < 0 < high for low, high in found.values())


def test_photos_are_measured_and_the_ranges_printed(
    site: Site, tmp_path: Path, samples: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, photo in samples.items():
        (tmp_path / name.rstrip("23")).mkdir(exist_ok=True)
        (tmp_path / name.rstrip("23") / f"{name}.jpg").write_bytes(photo)
    arguments = ["quantise", str(tmp_path), "--network", "sface_int8", "--config", str(site.write())]
    assert main([*arguments, "--cache", str(STATE / "cache"), "--json"]) == 0
    ranges = json.loads(capsys.readouterr().out)["activation_ranges"]
    named = load_manifest(FOLDER).activation_ranges
    assert named is not None
    # Four faces against the two hundred that the manifest's were measured on.
    for layer, (low, high) in named.items():
        assert ranges[layer] == pytest.approx((low, high), abs=0.35 * (high - low))


def test_the_quantised_network_passes_its_gate(site: Site, tmp_path: Path) -> None:
    need_8_bit_products()
    settings = load_config(site.write("quantised.yaml", inference={"engines": str(tmp_path)})).inference
    record = build_engine(FOLDER, settings, STATE / "cache")
    assert load_manifest(FOLDER).cosine_min <= record.checks["embedding_cosine"] < 0.9999
    assert (tmp_path / "sface_int8" / "model.onnx").stat().st_size < 12e6
