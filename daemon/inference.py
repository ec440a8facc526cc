"""Engines on an accelerator: the one owner of onnxruntime.

Promises that a loaded network is the file that was built, was built for this accelerator and this onnxruntime, runs on
the asked accelerator and reproduces its golden vectors. Building is left to `fvctl engines build`, never done here.

Not thread-bound: `InferenceSession.run` may be called from several threads at once.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from daemon.config import Accelerator, AtLeastOne, Policy
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.manifest import Manifest, Profile, Sha256, model_hash
from daemon.records import Floats
from daemon.yaml_file import STRICT, read_yaml

# From its import on it would report models and machine to its makers. Source: onnxruntime 1.29, PosixTelemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

ONNXRUNTIME_VERSION: str = ort.__version__
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
RECORD_FILE = "engine.yaml"

BUILD = "Run: fvctl engines build"
"""The remedy for nearly every engine that is refused."""

_GOLDEN_COSINE_MIN = 0.999
"""Least cosine of an output to its golden vector. Source: the gate for FP16 in trt_engines/README.md."""


@dataclass(frozen=True, slots=True, config=STRICT)
class EngineRecord:
    """What `fvctl engines build` wrote beside an engine."""

    name: str
    identity: Sha256
    model_hash: Sha256
    model_sha256: Sha256
    golden_sha256: Sha256
    accelerator: Accelerator
    onnxruntime: str
    built_utc: str
    checks: dict[str, float]


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


class OnnxNetwork:
    """A network ready to run; fits `daemon.face.network.Network`.

    Attributes:
        manifest: what the network says of itself.
        model_hash: what a calibration is bound to.
        accelerator: what it really runs on.
        failed: whether its last run failed.
        golden: golden vectors it proved itself on, once it did: in memory, as disks fail and engines are built anew.
    """

    def __init__(self, session: ort.InferenceSession, manifest: Manifest, model: bytes) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.manifest = manifest
        self.model_hash = model_hash(model, manifest)
        self.accelerator = _running_on(session)
        self.failed = False
        self.golden: bytes | None = None

    def works(self) -> bool:
        """Whether it can serve, for readiness; after a failure it must first prove itself on its golden vectors."""
        return not self.failed or self.reproduces()

    def reproduces(self) -> bool:
        """Whether it still computes its golden vectors; where it does not, it counts as failed."""
        if self.golden is not None:
            try:
                check_golden(self, self.golden)
            except EngineRefused:
                self.failed = True
        return not self.failed

    def run(self, batch: Floats) -> Mapping[str, Floats]:
        """Every output of the network for one batch.

        Args:
            batch: float32, shape and range as the manifest says.

        Returns:
            Output name to array.

        Raises:
            EngineRefused: the accelerator failed; the request gets an internal error.
        """
        try:
            found = self._session.run(None, {self.manifest.input: batch})
        except Exception as error:  # onnxruntime's own errors have no common class but this one
            self.failed = True
            raise EngineRefused(f"network {self.manifest.name} failed: {type(error).__name__}", BUILD) from error
        self.failed = False
        return dict(zip(self._outputs, found, strict=True))


def _running_on(session: ort.InferenceSession) -> Accelerator:
    first = session.get_providers()[0]
    return next(name for name, row in ACCELERATORS.items() if row.provider == first)


def open_network(model: bytes, manifest: Manifest, target: Target) -> OnnxNetwork:
    """A session on the asked accelerator, proven to be there.

    Raises:
        EngineRefused: onnxruntime cannot load the model, or silently put it elsewhere and the policy is strict.
    """
    row = ACCELERATORS[target.accelerator]
    strict = target.policy is Policy.STRICT and target.accelerator is not Accelerator.CPU
    options = ort.SessionOptions()
    options.intra_op_num_threads = target.threads
    options.log_severity_level = 3  # errors only: warnings of a fallback are turned into a refusal below
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if strict:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        with warnings.catch_warnings():  # onnxruntime only warns where a provider is missing; checked below
            warnings.simplefilter("ignore", UserWarning)
            session = ort.InferenceSession(
                model, options, [(row.provider, row.options(manifest.profile, manifest.input))], enable_fallback=0
            )
    except Exception as error:  # onnxruntime's own errors have no common class but this one
        raise EngineRefused(
            f"network {manifest.name} does not load on {target.accelerator.value}: {error}", _remedy(target)
        ) from error
    network = OnnxNetwork(session, manifest, model)
    if strict and network.accelerator is not target.accelerator:
        seen = f"{network.accelerator.value} (onnxruntime {ONNXRUNTIME_VERSION} offers {ort.get_available_providers()})"
        raise EngineRefused(
            f"network {manifest.name} should run on {target.accelerator.value}, but runs on {seen}", _remedy(target)
        )
    return network


def _remedy(target: Target) -> str:
    return (
        f"Install the device's own onnxruntime wheel, which has the {target.accelerator.value} provider; or set "
        "inference.accelerator: cpu, or inference.policy: allow_lower, and run: fvctl engines build"
    )


def load_engine(engines: Path, manifest: Manifest, target: Target) -> OnnxNetwork:
    """The published engine of a network, checked before it counts.

    Args:
        engines: folder that `fvctl engines build` publishes into.
        manifest: the network.
        target: what it must run on.

    Raises:
        EngineRefused: it is missing, damaged, stale, on the wrong accelerator, or not what it claims to compute.
    """
    folder = (engines / manifest.name).resolve()  # once: a build may turn the link meanwhile
    if not (folder / RECORD_FILE).is_file():
        raise EngineRefused(f"no engine for network {manifest.name} in {engines}", BUILD)
    try:
        record = read_yaml(folder / RECORD_FILE, EngineRecord)
    except ConfigurationRefused as error:
        raise EngineRefused(str(error.args[0]), BUILD) from None
    model = _read_pinned(folder / MODEL_FILE, record.model_sha256)
    golden = _read_pinned(folder / GOLDEN_FILE, record.golden_sha256)
    if record.identity != engine_identity(model, manifest, target.accelerator):
        raise EngineRefused(
            f"engine {folder.name} is stale: it was built with onnxruntime {record.onnxruntime} for "
            f"{record.accelerator.value}, this is onnxruntime {ONNXRUNTIME_VERSION} for {target.accelerator.value}, or "
            "the network's manifest has changed",
            BUILD,
        )
    network = open_network(model, manifest, target)
    check_golden(network, golden)
    network.golden = golden
    return network


def _read_pinned(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineRefused(f"{path} cannot be read: {error}", BUILD) from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != sha256:
        raise EngineRefused(f"{path} is damaged: SHA-256 is {seen}, its record says {sha256}", BUILD)
    return content


def check_golden(network: OnnxNetwork, golden: bytes) -> float:
    """Least cosine between what the network computes now and what it must compute.

    Also the warm-up: onnxruntime allocates and chooses kernels in its first run.

    Args:
        network: the loaded network.
        golden: .npz with `input` and one array per checked output.

    Raises:
        EngineRefused: an output is not the one the network must give.
    """
    with np.load(io.BytesIO(golden), allow_pickle=False) as wanted:
        found = network.run(wanted["input"])
        cosines = {name: cosine(found[name], wanted[name]) for name in wanted.files if name != "input"}
    name, worst = min(cosines.items(), key=lambda entry: -1.0 if math.isnan(entry[1]) else entry[1])
    if not worst >= _GOLDEN_COSINE_MIN:  # NaN is not
        raise EngineRefused(
            f"network {network.manifest.name} computes something else than it was built to: output {name} has "
            f"cosine {worst:.6f} to its golden vector, at least {_GOLDEN_COSINE_MIN} is expected",
            BUILD,
        )
    return worst


def cosine(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> float:
    """Cosine between two arrays taken as flat vectors; NaN where either holds one."""
    a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
