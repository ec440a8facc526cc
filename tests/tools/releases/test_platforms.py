"""A device finds its own row of the table, or hears that there is none."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tests.conftest import REPOSITORY
from tools.releases.platforms import PLATFORMS, known, own_platform


def test_every_drop_in_of_the_table_is_shipped() -> None:
    shipped = {path.name for path in (REPOSITORY / "systemd").glob("*.conf")}
    assert {name for row in PLATFORMS.values() for name in row.drop_ins} <= shipped


def test_a_jetson_is_not_taken_for_a_machine_without_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, BOARD: generic\n")
    here = (platform.machine(), f"{sys.version_info[0]}.{sys.version_info[1]}")
    if here == ("aarch64", "3.10"):
        assert own_platform(tmp_path).name == "aarch64-py310-jetpack6"
    else:
        with pytest.raises(ReleaseRefused, match="JetPack 6"):
            own_platform(tmp_path)


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(ReleaseRefused, match="no platform vax"):
        known("vax")
