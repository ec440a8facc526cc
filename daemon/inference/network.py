"""One session of onnxruntime, proven to be where it should be, and its runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import onnxruntime as ort

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import ACCELERATORS, BUILD, ONNXRUNTIME_VERSION, Target
from daemon.inference.golden import check_golden
from daemon.manifest import Manifest, model_hash
from daemon.records import Floats

_GIVE_BACK = ort.RunOptions()
_GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
"""Gives the CPU's memory back after a run. Source: onnxruntime, onnxruntime_run_options_config_keys.h."""


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
            found = self._session.run(None, {self.manifest.input: batch}, _GIVE_BACK if self._is_rare(batch) else None)
        except Exception as error:  # onnxruntime's own errors have no common class but this one
            self.failed = True
            raise EngineRefused(f"network {self.manifest.name} failed: {type(error).__name__}", BUILD) from error
        self.failed = False
        return dict(zip(self._outputs, found, strict=True))

    def _is_rare(self, batch: Floats) -> bool:
        """Whether few runs need as much memory: a look for a distant face takes eight times the usual one's."""
        return batch.size > math.prod(self.manifest.profile.usual)


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
