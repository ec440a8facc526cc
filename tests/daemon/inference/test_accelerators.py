"""The table of accelerators, and what makes an engine another one."""

from __future__ import annotations

import dataclasses

from daemon.config import Accelerator
from daemon.inference.accelerators import ACCELERATORS, engine_identity
from daemon.manifest import Profile
from tests.daemon.inference.copies import MANIFEST


def _identities() -> dict[str, str]:
    shape = (1, 3, 64, 64)
    other_profile = dataclasses.replace(MANIFEST, profile=Profile(shape, shape, shape))
    other_use = dataclasses.replace(MANIFEST, preprocessing=dataclasses.replace(MANIFEST.preprocessing, offset=1.0))
    return {
        "same": engine_identity(b"model", MANIFEST, Accelerator.CPU),
        "other weights": engine_identity(b"modeL", MANIFEST, Accelerator.CPU),
        "other profile": engine_identity(b"model", other_profile, Accelerator.CPU),
        "other preprocessing": engine_identity(b"model", other_use, Accelerator.CPU),
        "CUDA": engine_identity(b"model", MANIFEST, Accelerator.CUDA),
        "TensorRT": engine_identity(b"model", MANIFEST, Accelerator.TENSORRT),
    }


def test_whatever_makes_an_engine_another_one_changes_its_identity() -> None:
    identities = _identities()
    assert len(set(identities.values())) == len(identities)


def test_an_identity_is_the_same_every_time() -> None:
    assert _identities() == _identities()


def test_tensorrt_is_told_all_three_shapes_of_the_profile() -> None:
    options = ACCELERATORS[Accelerator.TENSORRT].options(MANIFEST.profile, "input")
    # By hand from trt_engines/yunet/manifest.yaml, in the words of onnxruntime's TensorRT provider.
    assert options["trt_profile_min_shapes"] == "input:1x3x32x32"
    assert options["trt_profile_opt_shapes"] == "input:2x3x320x320"
    assert options["trt_profile_max_shapes"] == "input:4x3x1280x1280"
