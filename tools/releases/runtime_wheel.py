"""The onnxruntime wheel that a release brings for a device with a GPU: refused where it would run on the CPU there."""

from __future__ import annotations

from pathlib import Path

from daemon.errors import EngineRefused, ReleaseRefused
from tools.releases.platforms import Platform
from tools.wheels import inspect_wheel, unfit_for_jetpack

_REMEDY = "Build onnxruntime for the device with its TensorRT and CUDA architectures, and name that wheel."


def refuse_unfit(wheel: Path, target: Platform) -> None:
    """Check that a wheel is for a device's machine and Python and has TensorRT and code for its GPUs.

    Args:
        wheel: onnxruntime, however its build names it.
        target: the device.

    Raises:
        ReleaseRefused: it has not, with what was seen.
    """
    try:
        reasons = unfit_for_jetpack(inspect_wheel(wheel), str(target.jetpack))
    except EngineRefused as error:
        raise ReleaseRefused(str(error.args[0]), _REMEDY) from None
    if reasons:
        raise ReleaseRefused(f"{wheel.name}: {'; '.join(reasons)}", _REMEDY)
