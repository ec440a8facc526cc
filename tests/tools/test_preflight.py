"""Models that TensorRT would not take are refused before there is a device, and for the reason that counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from daemon.errors import EngineRefused
from daemon.inference.engine import MODEL_FILE
from daemon.manifest import Manifest, load_manifest
from tests.conftest import REPOSITORY, STATE, Site
from tools.engines import source_network
from tools.jetpacks import JETPACKS
from tools.portable import portable_model
from tools.preflight import preflight, refuse_unfit


def _manifest(name: str) -> Manifest:
    return load_manifest(REPOSITORY / "trt_engines" / name)


@pytest.fixture(scope="module", params=["yunet", "sface"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def device_model(name: str, site: Site, engines: Path) -> bytes:
    return (engines / name / MODEL_FILE).read_bytes()


@pytest.mark.parametrize("jetpack", JETPACKS)
def test_both_networks_are_fit_for_every_jetpack(name: str, device_model: bytes, jetpack: str) -> None:
    assert preflight(portable_model(device_model), _manifest(name), jetpack) == []


def test_the_opset_of_the_published_networks_is_newer_than_jetpack_6_knows(name: str, device_model: bytes) -> None:
    assert preflight(device_model, _manifest(name), "6") == ["opset 21, TensorRT 10.3 takes 9 to 20"]
    assert preflight(device_model, _manifest(name), "7") == []


def test_a_network_as_published_is_refused_for_its_block_quantisation(name: str) -> None:
    source = source_network(_manifest(name), STATE / "cache")
    faults = preflight(source, _manifest(name), "7")
    assert any("DequantizeLinear with block_size=" in fault for fault in faults)


def _network(*nodes: onnx.NodeProto, opset: int = 17, kind: int = TensorProto.FLOAT) -> bytes:
    """A network of these nodes from `input` to `output`, any batch of 3 x 320 x 320."""
    shape: list[str | int | None] = ["batch", 3, 320, 320]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("output", kind, None)],
        [numpy_helper.from_array(np.array([1, 3, -1], np.int64), "one_photo")],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())


def _node(operator: str, *more: str, **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401 - of any operator
    return helper.make_node(operator, ["input", *more], ["output"], **attributes)


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (lambda: _network(_node("Det")), "operator Det, which is not in the table"),
        (lambda: _network(_node("FusedConv", domain="com.microsoft")), "operator FusedConv"),
        (lambda: _network(_node("Relu"), kind=TensorProto.DOUBLE), "1 x Relu on DOUBLE"),
        (lambda: _network(_node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])), "MaxPool with dilations"),
        (lambda: _network(_node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]), opset=8), "opset 8, TensorRT"),
        (lambda: _network(_node("Reshape", "one_photo")), "whatever the batch is"),
        (lambda: _network(_node("Relu", "one_photo")), "shapes do not follow from the input"),
    ],
)
def test_what_tensorrt_does_not_take_is_named(made: Callable[[], bytes], fault: str) -> None:
    assert fault in "; ".join(preflight(made(), _manifest("yunet"), "6"))


def test_operators_beyond_onnx_are_named_by_their_maker() -> None:
    assert "operators of com.microsoft, which TensorRT does not know" in preflight(
        _network(_node("Relu")), _manifest("yunet"), "7"
    )


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [
        ({"mode": "cubic"}, "Resize with mode=cubic"),
        ({"mode": "nearest", "antialias": 1}, "Resize with antialias=1"),
        ({"mode": "nearest", "coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop_and_resize"),
    ],
)
def test_ways_to_resize_that_tensorrt_does_not_have_are_named(attributes: dict[str, Any], fault: str) -> None:
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    node = helper.make_node("Resize", ["input", "", "scales"], ["output"], **attributes)
    model = onnx.load_model_from_string(_network(node, opset=18))
    model.graph.initializer.append(scales)
    assert fault in "; ".join(preflight(model.SerializeToString(), _manifest("yunet"), "6"))


def test_a_build_of_an_unfit_network_says_for_which_jetpack_and_why() -> None:
    with pytest.raises(EngineRefused, match=r"yunet is not for JetPack 6, TensorRT 10\.3: .*operator Det") as refused:
        refuse_unfit(_network(_node("Det")), _manifest("yunet"))
    assert "fvctl engines preflight" in refused.value.remedy
