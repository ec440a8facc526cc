"""The table of accelerators, and what makes an engine another one."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.config import Accelerator, Policy
from daemon.inference.accelerators import Basis, Precision, Target, engine_identity
from daemon.inference.platform import Platform
from daemon.manifest import Profile, model_hash
from tests.daemon.inference.copies import MANIFEST

JETPACK_6 = Platform("1.23.2", "10.3.0", "12.6", "Orin", "sm_87")
ORIN = Basis(Accelerator.TENSORRT, Precision.FP16, JETPACK_6)


def _identities() -> dict[str, str]:
    shape = (1, 3, 64, 64)
    other_profile = dataclasses.replace(MANIFEST, profile=Profile(shape, shape, shape))
    hashed = model_hash(b"model", MANIFEST)
    other_use = dataclasses.replace(MANIFEST, preprocessing=dataclasses.replace(MANIFEST.preprocessing, offset=1.0))
    return {
        "same": engine_identity(hashed, MANIFEST, ORIN),
        "other weights": engine_identity(model_hash(b"modeL", MANIFEST), MANIFEST, ORIN),
        "other profile": engine_identity(hashed, other_profile, ORIN),
        "other preprocessing": engine_identity(model_hash(b"model", other_use), other_use, ORIN),
        "CUDA": engine_identity(hashed, MANIFEST, dataclasses.replace(ORIN, accelerator=Accelerator.CUDA)),
        "full precision": engine_identity(hashed, MANIFEST, dataclasses.replace(ORIN, precision=Precision.FP32)),
        **{f"other {part}": engine_identity(hashed, MANIFEST, _other(part)) for part in dataclasses.asdict(JETPACK_6)},
    }


def _other(part: str) -> Basis:
    return dataclasses.replace(ORIN, platform=dataclasses.replace(JETPACK_6, **{part: "other"}))


def test_whatever_makes_an_engine_another_one_changes_its_identity() -> None:
    identities = _identities()
    assert len(set(identities.values())) == len(identities)


def test_an_identity_is_the_same_every_time() -> None:
    assert _identities() == _identities()


@pytest.mark.parametrize(
    ("asked", "policy", "permitted"),
    [
        (Accelerator.TENSORRT, Policy.STRICT, ["tensorrt"]),
        (Accelerator.TENSORRT, Policy.ALLOW_LOWER, ["tensorrt", "cuda", "cpu"]),
        (Accelerator.CUDA, Policy.ALLOW_LOWER, ["cuda", "cpu"]),
        (Accelerator.CPU, Policy.ALLOW_LOWER, ["cpu"]),
    ],
)
def test_strict_permits_what_is_asked_for_and_allow_lower_the_slower_ones_too(
    asked: Accelerator, policy: Policy, permitted: list[str]
) -> None:
    assert [one.value for one in Target(asked, policy, 1).permitted()] == permitted
