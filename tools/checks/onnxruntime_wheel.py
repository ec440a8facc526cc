"""Can the installed onnxruntime use this device's GPU at all?"""

from __future__ import annotations

import platform
import sys

from daemon.config import Accelerator
from daemon.inference.platform import read_platform
from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.wheels import Needed, inspect_installed, missing, unfit


def _look(device: Device) -> Finding:
    accelerator = device.load().inference.accelerator
    if accelerator is Accelerator.CPU:
        return no_matter("every onnxruntime runs on the CPU")
    build, gpu = inspect_installed(), read_platform(accelerator)
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    evidence = build._asdict() | {"gpu": gpu.gpu, "architecture": gpu.architecture}
    if reasons := unfit(build, Needed(accelerator, gpu.architecture, platform.machine(), python)):
        return to_mend(
            "; ".join(reasons),
            f"Install the release for this device: its wheel has {accelerator.value} and code for this GPU.",
            **evidence,
        )
    if absent := missing(build):
        return to_mend(
            f"{build.name} {build.version} needs {', '.join(absent)}, which are not there",
            "Install the versions of CUDA, cuDNN and TensorRT that this wheel was built for: those of its JetPack.",
            **evidence,
        )
    if gpu.architecture is None:
        return to_mend(
            f"{build.name} {build.version} has {accelerator.value}, but this device shows no GPU",
            "Look whether the NVIDIA driver is loaded and its devices may be opened: ls -l /dev/nv*",
            **evidence,
        )
    return well(f"{build.name} {build.version} has {accelerator.value} and code for {gpu.architecture}", **evidence)


CHECK = Check("onnxruntime_wheel", "Can the installed onnxruntime use this device's GPU?", _look)
