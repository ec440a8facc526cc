"""The one table of accelerators, the options of each, and what makes an engine another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from enum import Enum
from typing import NamedTuple

from pydantic.dataclasses import dataclass

from daemon.config import Accelerator, AtLeastOne, Policy
from daemon.inference.platform import Platform
from daemon.inference.tensorrt import engine_options
from daemon.manifest import Manifest, Profile
from daemon.yaml_file import STRICT

BUILD = "Run: fvctl engines build"
"""The remedy for nearly every engine that is refused."""


class Precision(str, Enum):
    """What an engine may compute in."""

    FP16 = "fp16"
    FP32 = "fp32"


@dataclass(frozen=True, slots=True, config=STRICT)
class Target:
    """What engines are built for and run on, and how strictly."""

    accelerator: Accelerator
    policy: Policy
    threads: AtLeastOne

    def permitted(self) -> tuple[Accelerator, ...]:
        """What engines may run on: the asked accelerator, and with allow_lower the slower ones after it."""
        order = tuple(ACCELERATORS)
        below = order[order.index(self.accelerator) :]
        return below if self.policy is Policy.ALLOW_LOWER else below[:1]


@dataclass(frozen=True, slots=True, config=STRICT)
class Basis:
    """What an engine was made for.

    Attributes:
        accelerator: what it runs on.
        precision: what it computes in.
        platform: versions and GPU that it depends on.
    """

    accelerator: Accelerator
    precision: Precision
    platform: Platform


class _Row(NamedTuple):
    """One accelerator.

    Attributes:
        provider: onnxruntime's name for it.
        precisions: what its engines may compute in, fastest first.
        compiles: whether a build leaves files that are loaded instead of the model.
        options: what an engine is built and run with.
    """

    provider: str
    precisions: tuple[Precision, ...]
    compiles: bool
    options: Callable[[Profile, str, Precision], dict[str, str]]


ACCELERATORS: dict[Accelerator, _Row] = {
    Accelerator.TENSORRT: _Row(
        "TensorrtExecutionProvider",
        (Precision.FP16, Precision.FP32),
        True,
        lambda profile, name, precision: engine_options(profile, name, precision is Precision.FP16),
    ),
    Accelerator.CUDA: _Row(
        "CUDAExecutionProvider", (Precision.FP32,), False, lambda _profile, _name, _precision: {"device_id": "0"}
    ),
    Accelerator.CPU: _Row("CPUExecutionProvider", (Precision.FP32,), False, lambda _profile, _name, _precision: {}),
}
"""The one table of accelerators, fastest first; another one is another row."""


def engine_identity(model_hash: str, manifest: Manifest, basis: Basis) -> str:
    """Hash over what an engine was made from: where it differs, the engine is stale.

    onnxruntime's own cache key ignores weights, shapes and options, so this one takes them all.

    Args:
        model_hash: of the device model and of how it is used.
        manifest: the manifest it was made by.
        basis: what it was made for.

    Returns:
        64 lower-case hex digits.
    """
    row = ACCELERATORS[basis.accelerator]
    parts = {
        "model": model_hash,
        "provider": row.provider,
        "options": row.options(manifest.profile, manifest.input, basis.precision),
        "precision": basis.precision.value,
        "profile": asdict(manifest.profile),
        "platform": asdict(basis.platform),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
