"""A wheel that would run on the CPU of a device with a GPU is refused; more of what is seen inside: test_wheels.py."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tests.conftest import STATE
from tools.fetch import fetch_archive
from tools.releases.platforms import PLATFORMS
from tools.releases.runtime_wheel import refuse_unfit

JETSONS = [row for row in PLATFORMS.values() if row.needs_own_runtime]


@pytest.mark.parametrize("target", JETSONS, ids=lambda row: row.name)
def test_the_package_index_s_wheel_for_servers_is_refused_for_a_jetson(target: object) -> None:
    pin = "a0f1725c5a6d1ef82d63498b5ebc25e2c90c9560e91dc76db9be4a49162d4d33"
    wheel = fetch_archive("onnxruntime-gpu==1.31.1", pin, STATE / "cache" / "wheels")
    with pytest.raises(ReleaseRefused, match=r"no TensorrtExecutionProvider.*no code for sm_87"):
        refuse_unfit(wheel, target)  # type: ignore[arg-type]


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "none.whl", "w"):
        pass
    with pytest.raises(ReleaseRefused, match="is no wheel of onnxruntime"):
        refuse_unfit(tmp_path / "none.whl", JETSONS[0])
