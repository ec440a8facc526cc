"""A network that runs: what goes in, what comes out, and whether it still computes what it must."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from daemon.inference.accelerators import ACCELERATORS, BUILD, Precision, Target
from daemon.inference.golden import check_golden
from daemon.inference.session import open_session
from daemon.inference.tensorrt import loading_options
from daemon.manifest import Manifest, model_hash
from daemon.records import Floats

_GIVE_BACK = ort.RunOptions()
_GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
"""Gives the CPU's memory back after a run. Source: onnxruntime, onnxruntime_run_options_config_keys.h."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made of a device model.

    Attributes:
        precision: what it computes in.
        context: the file that is loaded instead of the model, for accelerators whose builds leave one.
        model_hash: see `daemon.manifest.model_hash`, where it was taken already.
    """

    precision: Precision
    context: Path | None = None
    model_hash: str | None = None


class OnnxNetwork:
    """A network ready to run; fits `daemon.face.network.Network`.

    Attributes:
        manifest: what the network says of itself.
        model_hash: what a calibration is bound to.
        accelerator: what it really runs on.
        failed: whether its last run failed.
        golden: golden vectors it proved itself on, once it did: in memory, as disks fail and engines are built anew.
    """

    def __init__(self, session: ort.InferenceSession, manifest: Manifest, model_hash: str) -> None:
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        self.manifest = manifest
        self.model_hash = model_hash
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
            EngineRefused: the accelerator failed, or computed what is no number, as half precision may where it
                overflows; the request gets an internal error.
        """
        try:
            found = self._session.run(None, {self.manifest.input: batch}, _GIVE_BACK if self._is_rare(batch) else None)
        except Exception as error:  # onnxruntime's own errors have no common class but this one
            self.failed = True
            raise EngineRefused(f"network {self.manifest.name} failed: {type(error).__name__}", BUILD) from error
        self.failed = not all(np.isfinite(values).all() for values in found)
        if self.failed:
            raise EngineRefused(f"network {self.manifest.name} computes what is no number", BUILD)
        return dict(zip(self._outputs, found, strict=True))

    def _is_rare(self, batch: Floats) -> bool:
        """Whether few runs need as much memory: a look for a distant face takes eight times the usual one's."""
        return batch.size > math.prod(self.manifest.profile.usual)


def _running_on(session: ort.InferenceSession) -> Accelerator:
    first = session.get_providers()[0]
    return next(name for name, row in ACCELERATORS.items() if row.provider == first)


def open_network(model: bytes, manifest: Manifest, target: Target, built: Built | None = None) -> OnnxNetwork:
    """A network on the asked accelerator, proven to be there.

    Args:
        model: the device model, ONNX bytes.
        manifest: the manifest it was made by.
        target: where it must run; the policy is not looked at here.
        built: what was built from it; None for the model as it is, in full precision.

    Raises:
        EngineRefused: onnxruntime cannot load the model there, or put it or parts of it elsewhere.
    """
    built = built or Built(Precision.FP32)
    options = ACCELERATORS[target.accelerator].options(manifest.profile, manifest.input, built.precision)
    if built.context is not None:
        options = options | loading_options(built.context)
    try:
        session = open_session(built.context or model, target, options)
    except EngineRefused as error:
        raise EngineRefused(f"network {manifest.name}: {error.args[0]}", error.remedy) from error
    return OnnxNetwork(session, manifest, built.model_hash or model_hash(model, manifest))
