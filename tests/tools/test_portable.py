"""The model that TensorRT's parser reads computes what the device model computes, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from daemon.errors import EngineRefused
from daemon.inference.engine import MODEL_FILE
from daemon.inference.network import open_network
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY, Site
from tests.daemon.inference.copies import CPU
from tools.portable import OPSET, portable_model


@pytest.mark.parametrize("name", ["yunet", "sface"])
def test_nothing_that_is_computed_changes(name: str, site: Site, engines: Path) -> None:
    model = (engines / name / MODEL_FILE).read_bytes()
    manifest = load_manifest(REPOSITORY / "trt_engines" / name)
    shape = (3, *manifest.profile.usual[1:])
    batch = np.random.default_rng(5).uniform(0, 255, shape).astype(np.float32)
    before = open_network(model, manifest, CPU).run(batch)
    after = open_network(portable_model(model), manifest, CPU).run(batch)
    assert before.keys() == after.keys()
    for output, value in before.items():
        np.testing.assert_array_equal(after[output], value)


def test_shapes_of_one_photo_are_left_out(site: Site, engines: Path) -> None:
    made = onnx.load_model_from_string(portable_model((engines / "yunet" / MODEL_FILE).read_bytes()))
    assert list(made.graph.value_info) == []
    assert [opset.version for opset in made.opset_import] == [OPSET]


def test_an_operator_that_is_not_in_the_older_opset_is_refused() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("input", "output")]
    graph = helper.make_graph([helper.make_node("Gelu", ["input"], ["output"])], "test", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(EngineRefused, match=f"none in opset {OPSET}.*Gelu"):
        portable_model(model.SerializeToString())
