"""Nodes and groups of the accelerator, as the installed unit names them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from daemon.config import Accelerator, Config
from tests.tools.checks.devices import device, lay_out
from tools.checks.devices import CHECK
from tools.checks.finding import Status
from tools.unit_files import SHIPPED

NODES = {"dev__nvmap": "", "dev__host1x-fence": ""}
CHARACTERS = "Character devices:\n  1 mem\n226 drm\n505 nvhost-ctrl\n510 nvgpu-pci\n\nBlock devices:\n  8 sd\n"


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    units = tmp_path / "etc/systemd/system"
    (units / "faceverifyd.service.d").mkdir(parents=True)
    shutil.copy(SHIPPED / "faceverifyd.service", units)
    shutil.copy(SHIPPED / "jetson.conf", units / "faceverifyd.service.d")
    lay_out(tmp_path, **NODES, proc__devices=CHARACTERS, etc__group="root:x:0:\nvideo:x:44:\nrender:x:105:\n")
    return tmp_path


@pytest.fixture
def on_gpu(config: Config) -> Config:
    inference = dataclasses.replace(config.inference, accelerator=Accelerator.TENSORRT)
    return dataclasses.replace(config, inference=inference)


def test_all_that_the_unit_names_is_there(jetson: Path, on_gpu: Config) -> None:
    assert CHECK.look(device(jetson, on_gpu)).status is Status.OK


@pytest.mark.parametrize(
    ("lost", "seen"),
    [
        (lambda root: (root / "dev/nvmap").unlink(), "/dev/nvmap is not there"),
        (lambda root: (root / "proc/devices").write_text("226 drm\n510 nvgpu\n"), "no device of kind nvhost*"),
        (lambda root: (root / "etc/group").write_text("video:x:44:\n"), "there is no group render"),
    ],
)
def test_what_is_missing_is_named(jetson: Path, on_gpu: Config, lost: object, seen: str) -> None:
    assert callable(lost)
    lost(jetson)
    finding = CHECK.look(device(jetson, on_gpu))
    assert (finding.status, seen in finding.seen) == (Status.NEEDS_DOING, True), finding


def test_a_unit_that_closes_all_devices_is_told_with_the_drop_in_to_install(jetson: Path, on_gpu: Config) -> None:
    shutil.rmtree(jetson / "etc/systemd/system/faceverifyd.service.d")
    finding = CHECK.look(device(jetson, on_gpu))
    assert (finding.status, "jetson.conf" in finding.remedy) == (Status.NEEDS_DOING, True)


def test_on_the_cpu_and_without_a_unit_it_is_no_matter(tmp_path: Path, config: Config, on_gpu: Config) -> None:
    assert CHECK.look(device(tmp_path, config)).status is Status.NOT_APPLICABLE
    assert CHECK.look(device(tmp_path, on_gpu)).status is Status.NOT_APPLICABLE
