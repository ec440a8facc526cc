"""A quantised layer computes what the layer computed, but for the rounding; everything else is left alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from daemon.errors import EngineRefused
from daemon.records import Floats
from tests.conftest import need_8_bit_products
from tools.quantisation import quantisable, quantise

DRAW = np.random.default_rng(1)
CHANNELS, OUTPUTS = 64, 32


@pytest.fixture(autouse=True)
def _on_a_processor_for_it() -> None:
    need_8_bit_products()


def _network(channels: int = CHANNELS, slope_max: float = 0.9) -> onnx.ModelProto:
    """Convolution, normalisation and PRelu as SFace has them, then a last layer on 4 x 4 px."""
    constants: dict[str, npt.NDArray[np.generic]] = {
        "weight": DRAW.normal(size=(OUTPUTS, channels, 1, 1)).astype(np.float32),
        "gain": DRAW.uniform(0.5, 2, OUTPUTS).astype(np.float32),
        "offset": DRAW.normal(size=OUTPUTS).astype(np.float32),
        "mean": DRAW.normal(size=OUTPUTS).astype(np.float32),
        "variance": DRAW.uniform(0.5, 2, OUTPUTS).astype(np.float32),
        "slope": np.linspace(-0.5, slope_max, OUTPUTS, dtype=np.float32).reshape(-1, 1, 1),
        "last": DRAW.normal(size=(8, OUTPUTS * 16)).astype(np.float32),
        "last_bias": DRAW.normal(size=8).astype(np.float32),
    }
    normalised = ["c", "gain", "offset", "mean", "variance"]
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["c"], kernel_shape=[1, 1]),
        helper.make_node("BatchNormalization", normalised, ["n"], epsilon=1e-3),
        helper.make_node("PRelu", ["n", "slope"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Gemm", ["f", "last", "last_bias"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", channels, 4, 4])],
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["batch", OUTPUTS, 4, 4]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _run(model: onnx.ModelProto, x: Floats) -> list[Floats]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(output, np.float32) for output in session.run(None, {"x": x})]


def _cosine(first: Floats, second: Floats) -> float:
    return float(first.ravel() @ second.ravel() / np.linalg.norm(first) / np.linalg.norm(second))


def test_layers_are_told_by_name_with_their_inputs() -> None:
    assert quantisable(_network()) == {"c": "x", "y": "f"}


@pytest.mark.parametrize("names", [("c",), ("y",), ("c", "y")])
def test_a_quantised_network_computes_nearly_the_same(names: tuple[str, ...]) -> None:
    model = _network()
    x = DRAW.normal(size=(2, CHANNELS, 4, 4)).astype(np.float32)
    before = _run(model, x)
    ranges = {"c": (float(x.min()), float(x.max())), "y": (float(before[0].min()), float(before[0].max()))}
    quantise(model, {name: ranges[name] for name in names})
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node].count("MatMulIntegerToFloat") == len(names)
    after = _run(model, x)
    for was, became in zip(before, after, strict=True):
        assert _cosine(was, became) > 0.999  # two roundings to 8 bits, of 64 terms and more
    assert (before[1] != after[1]).any()


def test_values_on_the_grid_of_both_roundings_come_out_exactly() -> None:
    model = _network()
    weight = DRAW.integers(-127, 128, (OUTPUTS, CHANNELS, 1, 1)).astype(np.float32)
    weight[:, 0] = 127  # so that the weights' scale is 1 before the normalisation
    next(one for one in model.graph.initializer if one.name == "weight").CopyFrom(
        numpy_helper.from_array(weight, "weight")
    )
    x = DRAW.integers(0, 256, (1, CHANNELS, 4, 4)).astype(np.float32)
    before = _run(model, x)[0]
    quantise(model, {"c": (0.0, 255.0)})
    np.testing.assert_allclose(_run(model, x)[0], before, rtol=1e-4, atol=1e-2)


def test_what_lies_beyond_a_range_is_cut_off() -> None:
    x = np.full((1, CHANNELS, 4, 4), 7.0, np.float32)
    model = _network()
    quantise(model, {"c": (0.0, 1.0)})
    np.testing.assert_array_equal(_run(model, x)[0], _run(model, np.ones_like(x))[0])


@pytest.mark.parametrize("model", [_network(channels=32), _network(slope_max=1.5)])
def test_narrow_layers_and_slopes_above_one_are_left_alone(model: onnx.ModelProto) -> None:
    assert quantisable(model) == {"y": "f"}


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineRefused, match="no layers to quantise: nothing"):
        quantise(_network(), {"nothing": (0.0, 1.0)})
