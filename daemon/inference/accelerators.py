"""The one table of accelerators, the options of each, and what makes an engine another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

import onnxruntime as ort
from pydantic.dataclasses import dataclass

from daemon.config import Accelerator, AtLeastOne, Policy
from daemon.manifest import Manifest, Profile, model_hash
from daemon.yaml_file import STRICT

ONNXRUNTIME_VERSION: str = ort.__version__

BUILD = "Run: fvctl engines build"
"""The remedy for nearly every engine that is refused."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Target:
    """What engines are built for and run on, and how strictly."""

    accelerator: Accelerator
    policy: Policy
    threads: AtLeastOne


class _Row(NamedTuple):
    """One accelerator: onnxruntime's name for it, and the options an engine is built and run with."""

    provider: str
    options: Callable[[Profile, str], dict[str, str]]


def _tensorrt_options(profile: Profile, input_name: str) -> dict[str, str]:
    def _shapes(shape: tuple[int, ...]) -> str:
        return f"{input_name}:{'x'.join(str(side) for side in shape)}"

    # Source: onnxruntime, TensorRT execution provider, "Configurations". Shapes outside the profile would rebuild
    # the engine inside a request; the workspace is bounded because a Jetson shares its memory with the CPU.
    return {
        "trt_profile_min_shapes": _shapes(profile.smallest),
        "trt_profile_opt_shapes": _shapes(profile.usual),
        "trt_profile_max_shapes": _shapes(profile.largest),
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": str(1 << 30),
        "trt_builder_optimization_level": "3",
        "trt_auxiliary_streams": "0",
    }


ACCELERATORS: dict[Accelerator, _Row] = {
    Accelerator.TENSORRT: _Row("TensorrtExecutionProvider", _tensorrt_options),
    Accelerator.CUDA: _Row("CUDAExecutionProvider", lambda _profile, _name: {"device_id": "0"}),
    Accelerator.CPU: _Row("CPUExecutionProvider", lambda _profile, _name: {}),
}
"""The one table of accelerators, fastest first; another one is another row."""


def engine_identity(model: bytes, manifest: Manifest, accelerator: Accelerator) -> str:
    """Hash over what an engine was made from: where it differs, the engine is stale.

    onnxruntime's own cache key ignores weights, shapes and options, so this one takes them all.

    Args:
        model: the device model, ONNX bytes.
        manifest: the manifest it was made by.
        accelerator: what it was built for.

    Returns:
        64 lower-case hex digits.
    """
    row = ACCELERATORS[accelerator]
    parts = {
        "model": model_hash(model, manifest),
        "provider": row.provider,
        "options": row.options(manifest.profile, manifest.input),
        "profile": asdict(manifest.profile),
        "onnxruntime": ONNXRUNTIME_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
