"""The release's machines, and JetPack by its Jetson Linux."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tools.checks.devices import device
from tools.checks.finding import Status
from tools.checks.platform import CHECK


def _told(root: Path, release: str) -> Path:
    (root / "etc").mkdir()
    (root / "etc/nv_tegra_release").write_text(f"# {release}, GCID: 38968081, BOARD: generic, EABI: aarch64\n")
    return root


def test_a_machine_that_is_no_jetson_is_well(tmp_path: Path) -> None:
    assert CHECK.look(device(tmp_path)).status is Status.OK


@pytest.mark.parametrize(
    ("release", "python"),
    [("R36 (release), REVISION: 4.3", (3, 10)), ("R38 (release), REVISION: 4.0", (3, 12))],
)
def test_a_jetpack_wants_its_own_python(tmp_path: Path, release: str, python: tuple[int, int]) -> None:
    finding = CHECK.look(device(_told(tmp_path, release)))
    assert (finding.status is Status.OK) == (sys.version_info[:2] == python)
    assert "JetPack" in finding.seen


@pytest.mark.parametrize("release", ["R35 (release), REVISION: 6.1", "something else"])
def test_an_old_or_unknown_one_is_named(tmp_path: Path, release: str) -> None:
    finding = CHECK.look(device(_told(tmp_path, release)))
    assert (finding.status, "Flash JetPack" in finding.remedy) == (Status.NEEDS_DOING, True)
