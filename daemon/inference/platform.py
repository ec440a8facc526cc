"""What a device is, as far as an engine depends on it: versions of what runs it, and the GPU it was tuned for.

Told by the makers' own libraries without starting anything on the GPU; what is not there is None.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import onnxruntime as ort
from pydantic.dataclasses import dataclass

from daemon.config import Accelerator
from daemon.yaml_file import STRICT

ONNXRUNTIME_VERSION: str = ort.__version__

_TENSORRT = ("libnvinfer.so.11", "libnvinfer.so.10")
"""Newest first. Source: the provider in onnxruntime's wheels is linked to libnvinfer.so.10 (1.23 to 1.31)."""

_DRIVER = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""Source: cuda.h, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""

_NAME_BYTES = 256


@dataclass(frozen=True, slots=True, config=STRICT)
class Platform:
    """What an engine depends on besides its model; None for what its accelerator does not use, or what is not there.

    Attributes:
        onnxruntime: its version.
        tensorrt: version of the library that builds and runs engines.
        cuda: version that the driver speaks.
        gpu: the GPU's name.
        architecture: the GPU's, like sm_87.
    """

    onnxruntime: str
    tensorrt: str | None = None
    cuda: str | None = None
    gpu: str | None = None
    architecture: str | None = None

    def __str__(self) -> str:
        named = {"TensorRT": self.tensorrt, "CUDA": self.cuda, "GPU": self.gpu, "": self.architecture}
        parts = [f"{name} {value}".strip() for name, value in named.items() if value]
        return ", ".join([f"onnxruntime {self.onnxruntime}", *parts])


class _Gpu(NamedTuple):
    cuda: str | None = None
    name: str | None = None
    architecture: str | None = None


def read_platform(accelerator: Accelerator) -> Platform:
    """This device, as far as engines of an accelerator depend on it."""
    if accelerator is Accelerator.CPU:
        return Platform(ONNXRUNTIME_VERSION)
    gpu = _gpu()
    tensorrt = _tensorrt() if accelerator is Accelerator.TENSORRT else None
    return Platform(ONNXRUNTIME_VERSION, tensorrt, gpu.cuda, gpu.name, gpu.architecture)


def tensorrt_version(number: int) -> str:
    """`10.3.0` for 100300, `8.6.1` for 8601. Source: NvInferVersion.h, NV_TENSORRT_VERSION."""
    scale = 10_000 if number >= 10_000 else 1000  # three digits below the major version until 8
    return f"{number // scale}.{number % scale // 100}.{number % 100}"


def cuda_version(number: int) -> str:
    """`12.6` for 12060. Source: cuda.h, cuDriverGetVersion."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _tensorrt() -> str | None:
    for name in _TENSORRT:
        library = _library(name)
        if library is not None:
            return tensorrt_version(int(library.getInferLibVersion()))
    return None


def _gpu() -> _Gpu:
    """The first GPU. Source: CUDA Driver API; none of these calls makes a context."""
    driver = _library(_DRIVER)
    if driver is None or driver.cuInit(0):
        return _Gpu()
    version, device, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    failed = (
        driver.cuDriverGetVersion(ctypes.byref(version))
        or driver.cuDeviceGet(ctypes.byref(device), 0)
        or driver.cuDeviceGetName(name, _NAME_BYTES, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    )
    if failed:
        return _Gpu()
    return _Gpu(cuda_version(version.value), name.value.decode("utf-8", "replace"), f"sm_{major.value}{minor.value}")


def _library(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
