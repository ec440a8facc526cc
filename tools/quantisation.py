"""Quantises the wide convolutions of a network to 8 bits: the one rewrite that changes what it computes, a little.

Whoever lists it in a manifest also sets a gate that allows for it, and a calibration of its own. Only what is worth it
is touched: 1 x 1 convolutions and the last layer, which are plain products of matrices. Their inputs and weights are
rounded to 8 bits, sums and outputs are not. A layer's inputs go from the least to the greatest value that the manifest
names for it (`fvctl quantise` measures them), its weights have a scale per output channel.

The product is onnxruntime's own operator, so such a network runs on a CPU alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from daemon.errors import EngineRefused

Ranges = Mapping[str, tuple[float, float]]
"""Name of a layer's output to the least and greatest value of its input that matter."""

_ORT = "com.microsoft"
_CHANNELS_MIN = 64
"""Fewer input channels cost more to rearrange than an 8 bit product saves. Source: trt_engines/sface_int8/README.md."""

_TO_LAST, _FROM_LAST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Channels last, as a product of matrices wants them, and back."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution with the normalisation and the activation behind it, or a last layer, as one product.

    Attributes:
        nodes: what it replaces, the product first.
        weight: float64 (inputs, outputs).
        bias: float64 (outputs,).
        slope: float32 (outputs,) of a PRelu; None without one.
    """

    nodes: tuple[onnx.NodeProto, ...]
    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    slope: npt.NDArray[np.float32] | None

    @property
    def name(self) -> str:
        """Of its product's output."""
        return str(self.nodes[0].output[0])


def quantisable(model: onnx.ModelProto) -> dict[str, str]:
    """Names of the layers that `quantise` can quantise, each to the name of its input."""
    return {layer.name: str(layer.nodes[0].input[0]) for layer in _layers(model.graph)}


def quantise(model: onnx.ModelProto, ranges: Ranges) -> None:
    """Quantise the named layers.

    Args:
        model: before its PRelu nodes are split; changed in place.
        ranges: the layers, and what their inputs go through.

    Raises:
        EngineRefused: the network has no such layer.
    """
    graph = model.graph
    layers = {layer.name: layer for layer in _layers(graph)}
    unknown = sorted(set(ranges) - set(layers))
    if unknown:
        raise EngineRefused(f"no layers to quantise: {', '.join(unknown)}", "Correct the manifest.")
    chosen = [layers[name] for name in ranges]
    first = {id(layer.nodes[0]): layer for layer in chosen}
    gone = {id(node) for layer in chosen for node in layer.nodes}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if id(node) in first:
            nodes += _quantised(first[id(node)], ranges[first[id(node)].name], graph)
        elif id(node) not in gone:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    model.opset_import.append(helper.make_opsetid(_ORT, 1))


def _layers(graph: onnx.GraphProto) -> list[_Layer]:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        if node.op_type == "Conv" and _is_pointwise(constants[node.input[1]]):
            found.append(_convolution(node, readers, constants))
        elif node.op_type == "Gemm" and node.input[1] in constants:
            found.append(_last_layer(node, constants))
    return [layer for layer in found if layer is not None]


def _is_pointwise(weight: npt.NDArray[np.float32]) -> bool:
    return weight.shape[2:] == (1, 1) and weight.shape[1] >= _CHANNELS_MIN


def _convolution(
    node: onnx.NodeProto, readers: dict[str, list[onnx.NodeProto]], constants: dict[str, npt.NDArray[np.float32]]
) -> _Layer | None:
    """Only in the form that a mobile network has it: nothing else reads what is between convolution and activation."""
    chain = [node]
    for kind in ("BatchNormalization", "PRelu"):
        following = readers.get(chain[-1].output[0], [])
        if [one.op_type for one in following] != [kind]:
            return None
        chain += following
    _, normalisation, activation = chain
    slope = constants[activation.input[1]].astype(np.float32).ravel()
    if slope.max() > 1:  # the greater of x and a x is PRelu(x) only up to there
        return None
    weight = constants[node.input[1]][:, :, 0, 0].astype(np.float64)
    gain, offset, mean, variance = (constants[name].astype(np.float64) for name in normalisation.input[1:5])
    epsilon = next(one.f for one in normalisation.attribute if one.name == "epsilon")
    factor = gain / np.sqrt(variance + epsilon)
    bias = constants[node.input[2]] if len(node.input) > 2 else 0.0
    return _Layer(tuple(chain), (weight * factor[:, None]).T, (bias - mean) * factor + offset, slope)


def _last_layer(node: onnx.NodeProto, constants: dict[str, npt.NDArray[np.float32]]) -> _Layer:
    is_transposed = any(one.name == "transB" and one.i for one in node.attribute)
    weight = constants[node.input[1]].astype(np.float64)
    return _Layer((node,), weight.T if is_transposed else weight, constants[node.input[2]].astype(np.float64), None)


def _quantised(layer: _Layer, limits: tuple[float, float], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    name = layer.name
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)  # zero must be exact: borders are filled with it
    scale = (high - low) / 255
    weight_scale = np.abs(layer.weight).max(axis=0) / 127
    constants = {
        "scale": np.float32(scale),
        "zero": np.uint8(round(-low / scale)),
        "weight": np.round(layer.weight / weight_scale).astype(np.int8),
        "weight_scale": weight_scale.astype(np.float32),
        "weight_zero": np.zeros(len(weight_scale), np.int8),
        "bias": layer.bias.astype(np.float32),
    }
    if layer.slope is not None:
        constants["slope"] = layer.slope
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), f"{name}_{part}") for part, value in constants.items()
    )
    source, end = layer.nodes[0].input[0], layer.nodes[-1].output[0]
    if layer.slope is None:
        return _product(name, source, end)
    return [
        helper.make_node("Transpose", [source], [f"{name}_last"], perm=_TO_LAST),
        *_product(name, f"{name}_last", f"{name}_sum"),
        helper.make_node("Mul", [f"{name}_sum", f"{name}_slope"], [f"{name}_linear"]),
        helper.make_node("Max", [f"{name}_sum", f"{name}_linear"], [f"{name}_active"]),
        helper.make_node("Transpose", [f"{name}_active"], [end], perm=_FROM_LAST),
    ]


def _product(name: str, source: str, end: str) -> list[onnx.NodeProto]:
    parts = ("weight", "scale", "weight_scale", "zero", "weight_zero", "bias")
    constants = [f"{name}_{part}" for part in parts]
    rounded = f"{name}_rounded"
    return [
        helper.make_node("QuantizeLinear", [source, f"{name}_scale", f"{name}_zero"], [rounded]),
        helper.make_node("MatMulIntegerToFloat", [rounded, *constants], [end], domain=_ORT),
    ]
