"""What a device is, in the words of NVIDIA's libraries."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest

from daemon.config import Accelerator
from daemon.inference.platform import Platform, cuda_version, read_platform, tensorrt_version
from tests.conftest import REPOSITORY, need


# Source: NvInferVersion.h of TensorRT 8.6.1, 10.3.0 and 10.16.1: NV_TENSORRT_VERSION.
@pytest.mark.parametrize(("number", "version"), [(8601, "8.6.1"), (100300, "10.3.0"), (101601, "10.16.1")])
def test_tensorrt_says_its_version_as_one_number(number: int, version: str) -> None:
    assert tensorrt_version(number) == version


# Source: cuda.h of CUDA 11.4, 12.6 and 13.2: CUDA_VERSION.
@pytest.mark.parametrize(("number", "version"), [(11040, "11.4"), (12060, "12.6"), (13020, "13.2")])
def test_cuda_says_its_version_as_one_number(number: int, version: str) -> None:
    assert cuda_version(number) == version


def test_on_the_cpu_nothing_but_onnxruntime_counts() -> None:
    assert read_platform(Accelerator.CPU) == Platform(ort.__version__)


def test_where_there_is_no_gpu_nothing_is_made_up() -> None:
    if ctypes.util.find_library("cuda"):
        pytest.skip("this machine has an NVIDIA driver")
    assert read_platform(Accelerator.TENSORRT) == Platform(ort.__version__)


def test_people_read_what_is_there() -> None:
    orin = Platform("1.23.2", "10.3.0", "12.6", "Orin", "sm_87")
    assert str(orin) == "onnxruntime 1.23.2, TensorRT 10.3.0, CUDA 12.6, GPU Orin, sm_87"
    assert str(Platform("1.32.0")) == "onnxruntime 1.32.0"


def test_the_makers_libraries_are_asked_as_their_headers_say(tmp_path: Path) -> None:
    """A driver and a TensorRT that answer as an Orin's do, built from C to the same headers, stand in for the real."""
    need("cc", os.system("command -v cc > /dev/null") == 0)  # noqa: S605
    source = Path(__file__).with_name("orin.c")
    for library in ("libcuda.so.1", "libnvinfer.so.10"):
        subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / library, source], check=True)
    asked = (
        "import dataclasses, json; from daemon.config import Accelerator; from daemon.inference import platform; "
        "print(json.dumps(dataclasses.asdict(platform.read_platform(Accelerator.TENSORRT))))"
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert Platform(**json.loads(done.stdout)) == Platform(ort.__version__, "10.3.0", "12.6", "Orin", "sm_87")
