"""A device that was installed, started for the first time, and given its keys; shared by all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from daemon.api.health import JWKS_PATH
from tests.conftest import need
from tests.end_to_end.photos import scaled
from tests.systemd.appliance import FVCTL, lay_out
from tests.systemd.debian import debian_root, installed_layer
from tests.systemd.machine import ENGINES, Machine, soon
from tools.asking import sealed_form
from tools.sealing import jwe_sealer


def _may_mount() -> bool:
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return os.geteuid() == 0 and tried.returncode == 0


@pytest.fixture(scope="session")
def machine(site: object, samples: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A device as installed, on for the first time; nobody made keys yet. `site` has put the downloads in the cache."""
    for program in ("debootstrap", "systemd-nspawn"):
        need(program, shutil.which(program) is not None)
    need("the permission to mount", _may_mount())
    root = debian_root()
    disk = tmp_path_factory.mktemp("disk")
    disk.chmod(0o755)  # it becomes the root folder, which every account must enter
    lay_out(disk, samples)
    with Machine(tmp_path_factory.mktemp("nspawn"), (disk, installed_layer(root), root)) as booted:
        yield booted


@dataclass(frozen=True)
class FirstStart:
    """What was seen until the device served for the first time.

    Attributes:
        booted_s: seconds from power on until everything was started, engines built.
        engines: how the engines' unit ended, and what it printed.
        refused: how the service ended without keys, and its journal's events.
        status: its status line then.
        keys_made: what `fvctl keys init` printed.
        answered: status of the first connection afterwards; nobody started anything.
        answered_s: seconds that it waited.
    """

    booted_s: float
    engines: tuple[str, list[str]]
    refused: tuple[str, list[dict[str, Any]]]
    status: str
    keys_made: str
    answered: int
    answered_s: float


@pytest.fixture(scope="session")
def first_start(machine: Machine) -> FirstStart:
    """The first start, as a technician goes through it."""
    began = time.monotonic()
    # Degraded: the service refuses.
    assert soon(lambda: machine.run("systemctl", "is-system-running", check=False) == "degraded\n", within_s=180)
    booted_s = time.monotonic() - began
    engines = machine.shown("Result", ENGINES), machine.journal(ENGINES)
    refused = machine.shown("ExecMainStatus"), machine.events()
    status = machine.shown("StatusText")
    keys_made = machine.run(FVCTL, "keys", "init")
    began = time.monotonic()
    answered = machine.get("/readyz").status
    return FirstStart(booted_s, engines, refused, status, keys_made, answered, time.monotonic() - began)


@pytest.fixture
def device(machine: Machine, first_start: FirstStart) -> Machine:
    """The device, serving; a test that changes it takes `changed`."""
    assert first_start.answered == 200
    return machine


@pytest.fixture
def changed(device: Machine) -> Iterator[Machine]:
    """The device, serving; afterwards it is as it was."""
    yield device
    device.restore()


@pytest.fixture(scope="session")
def small(samples: dict[str, bytes]) -> tuple[bytes, bytes]:
    """A mated pair of small photos, compared in a fraction of a large one's time."""
    return scaled(samples["obama"], 128), scaled(samples["obama2"], 128)


@pytest.fixture
def form(device: Machine, small: tuple[bytes, bytes]) -> dict[str, str]:
    """The pair as a terminal sends it, sealed to a key that the device publishes."""
    return sealed_form(jwe_sealer(device.get(JWKS_PATH).json["keys"][0]), small)
