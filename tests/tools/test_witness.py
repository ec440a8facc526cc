"""OpenCV's reading of the published networks agrees with the device models, and with no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.network import OnnxNetwork, open_network
from daemon.manifest import Manifest, load_manifest
from tests.conftest import REPOSITORY, STATE
from tools.engines import source_network
from tools.recipe import device_model
from tools.witness import check_against_witness, golden_input, small_copy

ON_CPU = Target(Accelerator.CPU, Policy.STRICT, 1)


@dataclasses.dataclass(frozen=True)
class Built:
    """A network as published and as the recipe makes it."""

    source: bytes
    model: bytes
    manifest: Manifest

    def opened(self) -> OnnxNetwork:
        return open_network(self.model, self.manifest, ON_CPU)


def _built(name: str) -> Built:
    folder: Path = REPOSITORY / "trt_engines" / name
    manifest = load_manifest(folder)
    source = source_network(manifest, STATE / "cache")
    return Built(source, device_model(source, manifest, folder), manifest)


@pytest.fixture(scope="module", params=["sface", "yunet"])
def built(request: pytest.FixtureRequest) -> Built:
    return _built(request.param)


@pytest.fixture(scope="module")
def yunet() -> Built:
    return _built("yunet")


def with_changed_weight(model: bytes, name_part: str) -> bytes:
    """The model with noise of a tenth of its spread on one weight."""
    opened = onnx.load_model_from_string(model)
    tensor = next(t for t in opened.graph.initializer if name_part in t.name and np.prod(t.dims) > 500)
    value = numpy_helper.to_array(tensor)
    noise = np.random.default_rng(1).normal(0, 0.1 * value.std(), value.shape)
    tensor.CopyFrom(numpy_helper.from_array((value + noise).astype(np.float32), tensor.name))
    return bytes(opened.SerializeToString())


def test_a_device_model_agrees_with_the_witness(built: Built, samples: dict[str, bytes]) -> None:
    found = check_against_witness(built.source, built.opened(), samples)
    assert set(found) == ({"embedding_cosine"} if built.manifest.name == "sface" else {"box_iou", "output_cosine"})
    assert all(0.98 <= value <= 1.000001 for value in found.values())


def test_a_model_with_one_changed_weight_is_refused(built: Built, samples: dict[str, bytes]) -> None:
    changed = with_changed_weight(built.model, "weight")
    with pytest.raises(EngineRefused, match="to OpenCV's reading of the original is") as refused:
        check_against_witness(built.source, open_network(changed, built.manifest, ON_CPU), samples)
    assert "Do not use this engine" in refused.value.remedy


def test_a_manifest_with_the_wrong_colour_order_is_refused(built: Built, samples: dict[str, bytes]) -> None:
    right = built.manifest.preprocessing
    swapped = dataclasses.replace(right, colour_order="BGR" if right.colour_order == "RGB" else "RGB")
    network = open_network(built.model, dataclasses.replace(built.manifest, preprocessing=swapped), ON_CPU)
    with pytest.raises(EngineRefused, match="to OpenCV's reading of the original is"):
        check_against_witness(built.source, network, samples)


def test_a_sample_photo_without_a_face_proves_nothing(yunet: Built) -> None:
    _, blank = cv2.imencode(".jpg", np.full((320, 320, 3), 128, np.uint8))
    with pytest.raises(EngineRefused, match=r"box_iou to OpenCV's reading of the original is 0\.0"):
        check_against_witness(yunet.source, yunet.opened(), {"blank": blank.tobytes()})


def test_golden_input_is_two_different_photos_of_the_usual_shape(built: Built, samples: dict[str, bytes]) -> None:
    batch = golden_input(built.manifest, samples)
    assert batch.dtype == np.float32
    assert batch.shape == built.manifest.profile.usual
    assert float(np.abs(batch[0] - batch[1]).mean()) > 10
    assert 0 <= batch.min() < 50 < 200 < batch.max() <= 255


def test_a_small_copy_keeps_its_sides_ratio(samples: dict[str, bytes]) -> None:
    large, small = small_copy(samples["obama"], 480).rgb, small_copy(samples["obama"], 240).rgb
    assert max(small.shape) == 240
    assert large.shape[0] / large.shape[1] == pytest.approx(small.shape[0] / small.shape[1], rel=0.01)
