"""What the device is made of, by ids that follow the files."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

import onnxruntime
import pytest
import yaml

from daemon import __version__
from daemon.api.about import about_device
from daemon.app import Networks
from daemon.config import Config
from daemon.errors import ConfigurationRefused


def test_the_ids_are_those_of_the_files(config: Config, networks: Networks) -> None:
    about = about_device(config.inference, networks.both)
    assert (about.release, about.onnxruntime) == (__version__, onnxruntime.__version__)
    for row in about.engines:
        record = yaml.safe_load((config.inference.engines / row.network / "engine.yaml").read_text())
        assert (row.engine, row.model) == (record["identity"][:16], record["model_hash"][:16])
        assert row.accelerator == "cpu"
    calibration = config.inference.networks / "sface" / "calibration.yaml"
    assert about.calibration == hashlib.sha256(calibration.read_bytes()).hexdigest()[:16]


def test_a_calibration_that_is_gone_is_a_refusal(config: Config, networks: Networks, tmp_path: Path) -> None:
    shutil.copytree(config.inference.networks, tmp_path / "networks")
    (tmp_path / "networks" / "sface" / "calibration.yaml").unlink()
    with pytest.raises(ConfigurationRefused):
        about_device(dataclasses.replace(config.inference, networks=tmp_path / "networks"), networks.both)
