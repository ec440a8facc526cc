"""Wheels are looked into before anybody relies on them: provider library, GPU code, machine, Python."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from tests.conftest import STATE
from tools.fetch import fetch_archive
from tools.wheels import Needed, OnnxruntimeBuild, inspect_installed, inspect_wheel, unfit, unfit_for_jetpack

ORIN = Needed(Accelerator.TENSORRT, "sm_87", "aarch64", "cp312")
FITTING = OnnxruntimeBuild(
    "onnxruntime-gpu", "1.23.2", ("cp312-cp312-linux_aarch64",), ("tensorrt", "cuda"), ("sm_87",), (), ()
)


@pytest.fixture(scope="module")
def for_servers() -> OnnxruntimeBuild:
    """The aarch64 wheel of the package index, which is for servers, opened as it is downloaded."""
    pin = "a0f1725c5a6d1ef82d63498b5ebc25e2c90c9560e91dc76db9be4a49162d4d33"
    return inspect_wheel(fetch_archive("onnxruntime-gpu==1.31.1", pin, STATE / "cache" / "wheels"))


def test_the_wheel_of_the_package_index_for_aarch64_is_not_for_a_jetson(for_servers: OnnxruntimeBuild) -> None:
    assert unfit_for_jetpack(for_servers, "6") == [
        "onnxruntime-gpu 1.31.1 has no TensorrtExecutionProvider",
        "onnxruntime-gpu 1.31.1 has no code for sm_87, it has: sm_89, sm_90, sm_120, sm_121",
        "onnxruntime-gpu 1.31.1 is for another Python than cp310: cp312-cp312-manylinux_2_34_aarch64",
        "onnxruntime-gpu 1.31.1 loads libcudart.so.13, JetPack 6 has CUDA 12",
    ]
    assert unfit_for_jetpack(for_servers, "7") == [
        "onnxruntime-gpu 1.31.1 has no TensorrtExecutionProvider",
        "onnxruntime-gpu 1.31.1 has no code for sm_87, it has: sm_89, sm_90, sm_120, sm_121",
        "onnxruntime-gpu 1.31.1 has no code for sm_110, it has: sm_89, sm_90, sm_120, sm_121",
    ]


def test_a_wheel_made_for_a_jetpack_is_for_its_jetsons_and_for_no_other_jetpack() -> None:
    build = FITTING._replace(architectures=("sm_87", "sm_110"), libraries=("libcudart.so.13", "libnvinfer.so.10"))
    assert unfit_for_jetpack(build, "7") == []
    assert len(unfit_for_jetpack(build, "6")) == 2


def test_the_wheel_of_the_package_index_for_x86_has_tensorrt_and_code_for_desktop_gpus(gpu_site_packages: Path) -> None:
    build = inspect_installed(gpu_site_packages)
    assert build.name == "onnxruntime-gpu"
    assert build.providers == ("tensorrt", "cuda")
    assert unfit(build, Needed(Accelerator.TENSORRT, "sm_80", "x86_64")) == []
    assert "has no code for sm_87" in unfit(build, ORIN)[0]


def test_the_wheel_without_gpus_has_neither_provider_nor_code() -> None:
    build = inspect_installed()
    assert (build.name, build.providers, build.architectures) == ("onnxruntime", (), ())
    assert unfit(build, Needed(Accelerator.CPU)) == []
    assert unfit(build, Needed(Accelerator.CUDA)) == [f"onnxruntime {build.version} has no CUDAExecutionProvider"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"providers": ("cuda",)}, "has no TensorrtExecutionProvider"),
        ({"architectures": ("sm_80", "sm_89")}, "has no code for sm_87, it has: sm_80, sm_89"),
        ({"architectures": (), "ptx": ("sm_80",)}, None),
        ({"architectures": (), "ptx": ("sm_90",)}, "has no code for sm_87, it has: sm_90 and newer"),
        ({"tags": ("cp312-cp312-linux_x86_64",)}, "is for another machine than aarch64: cp312-cp312-linux_x86_64"),
        ({"tags": ("cp310-cp310-linux_aarch64",)}, "is for another Python than cp312"),
    ],
)
def test_what_a_device_lacks_is_named(change: dict[str, Any], reason: str | None) -> None:
    reasons = unfit(FITTING._replace(**change), ORIN)
    assert len(reasons) == (reason is not None)
    assert reason is None or reason in reasons[0]


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.whl").write_bytes(b"PK")
    with pytest.raises(EngineRefused, match="is no wheel of onnxruntime"):
        inspect_wheel(tmp_path / "none.whl")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        pass
    with pytest.raises(EngineRefused, match="is no wheel of onnxruntime"):
        inspect_wheel(tmp_path / "empty.whl")


def test_an_environment_without_onnxruntime_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(EngineRefused, match="onnxruntime is not installed"):
        inspect_installed(tmp_path)
