"""The onnxruntime wheel that a release brings for a device with a GPU: refused where it would run on the CPU there."""

from __future__ import annotations

import zipfile
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from daemon.errors import ReleaseRefused
from tools.releases.platforms import Platform

_PROVIDER = "libonnxruntime_providers_tensorrt.so"
_KERNELS = "libonnxruntime_providers_cuda.so"

_REMEDY = "Build onnxruntime for the device with its TensorRT and CUDA architectures, and name that wheel."


def refuse_unfit(wheel: Path, target: Platform) -> None:
    """Check that a wheel is for a device's machine and Python and has TensorRT and code for its GPU.

    Args:
        wheel: onnxruntime, however its build names it.
        target: the device.

    Raises:
        ReleaseRefused: it has not, with what was seen.
    """
    try:
        name, _, _, tags = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as opened:
            libraries = {Path(member).name: member for member in opened.namelist()}
            kernels = opened.read(libraries[_KERNELS]) if _KERNELS in libraries else b""
    except (OSError, zipfile.BadZipFile, InvalidWheelFilename) as error:
        raise ReleaseRefused(f"{wheel} is no wheel: {error}", _REMEDY) from None
    python = f"cp{target.python.replace('.', '')}"
    faults = [
        (not name.startswith("onnxruntime"), f"is {name} and not onnxruntime"),
        (not any(_fits(tag, python, target.machine) for tag in tags), f"is not for {python} on {target.machine}"),
        (_PROVIDER not in libraries, f"has no TensorRT provider ({_PROVIDER})"),
        *((one.encode() not in kernels, f"has no code for {one} in {_KERNELS}") for one in target.architectures),
    ]
    seen = [fault for broken, fault in faults if broken]
    if seen:
        raise ReleaseRefused(f"{wheel.name} {'; '.join(seen)}", _REMEDY)


def _fits(tag: Tag, python: str, machine: str) -> bool:
    return tag.interpreter == python and tag.platform.endswith(machine)
