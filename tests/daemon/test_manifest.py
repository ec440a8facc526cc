"""Manifests: the shipped ones load, faults are named, and the model hash covers what changes the result."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.errors import ConfigurationRefused
from daemon.manifest import Manifest, Profile, load_manifest, model_hash
from tests.conftest import REPOSITORY

NETWORKS = REPOSITORY / "trt_engines"


@pytest.fixture
def yunet() -> Manifest:
    """The shipped detection network."""
    return load_manifest(NETWORKS / "yunet")


def _changed(tmp_path: Path, **changes: Any) -> Path:  # noqa: ANN401 - whatever YAML can hold
    document = yaml.safe_load((NETWORKS / "sface" / "manifest.yaml").read_text()) | changes
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_the_detection_network_says_how_to_look_and_has_no_occlusion_head(yunet: Manifest) -> None:
    assert yunet.task == "detection"
    assert yunet.detection is not None
    assert yunet.occlusion is None


def test_the_recognition_network_names_an_occlusion_head_of_the_pinned_hash() -> None:
    occlusion = load_manifest(NETWORKS / "sface").occlusion
    assert occlusion is not None
    weights = (NETWORKS / "sface" / occlusion.weights).read_bytes()
    assert hashlib.sha256(weights).hexdigest() == occlusion.weights_sha256


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": "my-net"}, "name"),
        ({"name": "Sface"}, "name"),
        ({"name": ""}, "name"),
        ({"task": "weather"}, "task"),
        ({"recipe": ["make_faster"]}, "recipe.0"),
        ({"cosine_min": 1.5}, "cosine_min"),
        ({"preprocessing": {"colour_order": "GRB", "offset": 0.0, "scale": 1.0}}, "preprocessing.colour_order"),
        ({"profile": {"smallest": [1, 3], "usual": [1, 3, 1, 1], "largest": [1, 3, 1, 1]}}, "profile.smallest"),
        ({"colour": "RGB"}, "colour"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigurationRefused, match=rf"\n  {where}") as refused:
        load_manifest(_changed(tmp_path, **changes))
    assert "manifest.yaml" in refused.value.remedy


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"manifest\.yaml"):
        load_manifest(tmp_path)


def test_the_model_hash_is_sha256_of_model_and_use(yunet: Manifest) -> None:
    # Written out by hand from trt_engines/yunet/manifest.yaml, so that a change of what is hashed is noticed: every
    # calibration in the field is bound to it.
    used = (
        '[{"colour_order":"BGR","offset":0.0,"scale":1.0},{"about_as_large":0.83,"close_look_px":320,'
        '"close_look_scales":[1.5],"confidence_min":0.6,"distant_look_px":1280,"first_look_px":320,'
        '"overlap_max":0.3,"upright_confidence_min":0.92}]'
    )
    assert model_hash(b"model", yunet) == hashlib.sha256(b"model\n" + used.encode()).hexdigest()


def test_other_weights_give_another_model_hash(yunet: Manifest) -> None:
    assert model_hash(b"model", yunet) != model_hash(b"modeL", yunet)


def test_another_way_of_looking_gives_another_model_hash(yunet: Manifest) -> None:
    assert yunet.detection is not None
    other = dataclasses.replace(yunet, detection=dataclasses.replace(yunet.detection, first_look_px=352))
    assert model_hash(b"model", other) != model_hash(b"model", yunet)


def test_another_colour_order_gives_another_model_hash(yunet: Manifest) -> None:
    other = dataclasses.replace(yunet, preprocessing=dataclasses.replace(yunet.preprocessing, colour_order="RGB"))
    assert model_hash(b"model", other) != model_hash(b"model", yunet)


def test_a_profile_does_not_change_the_model_hash(yunet: Manifest) -> None:
    shape = (1, 3, 64, 64)
    other = dataclasses.replace(yunet, profile=Profile(shape, shape, shape))
    assert model_hash(b"model", other) == model_hash(b"model", yunet)
