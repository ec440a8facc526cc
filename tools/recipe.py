"""The engine recipe: from a network as its makers publish it to the device model, one exact rewrite after another.

Every rewrite but one, `tools.quantisation`, keeps what the network computes; `tools.witness` proves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from daemon.errors import EngineRefused
from daemon.face.recognition import EMBEDDING_OUTPUT, VISIBLE_OUTPUT
from daemon.manifest import Manifest, Rewrite
from daemon.records import REGIONS
from tools.quantisation import quantise

Graph = onnx.GraphProto
_BATCH = "batch"


def device_model(source: bytes, manifest: Manifest, folder: Path) -> bytes:
    """The device model, ONNX bytes, the same for the same input.

    Args:
        source: the network as published.
        manifest: names the rewrites.
        folder: the manifest's folder, for the weights that are joined.

    Raises:
        EngineRefused: the network is not one that the rewrites fit.
    """
    model = onnx.load_model_from_string(source)
    for rewrite in manifest.recipe:
        _REWRITES[rewrite](model, manifest, folder)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EngineRefused(
            f"the recipe of {manifest.name} makes no valid model: {error}", "Correct its manifest."
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _fold_constants(model: onnx.ModelProto, _manifest: Manifest, _folder: Path) -> None:
    """Block-quantised weights as float weights: onnxruntime does not run the published DequantizeLinear nodes."""
    graph = model.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "Reshape") and all(name in known for name in node.input):
            known[node.output[0]] = _evaluated(node, known, model)
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    weights = [tensor for name, tensor in known.items() if name in used]
    _replace(graph.input, [value for value in graph.input if value.name in used and value.name not in known])
    _replace(graph.node, kept)
    _replace(graph.initializer, weights)


def _evaluated(node: onnx.NodeProto, known: dict[str, onnx.TensorProto], model: onnx.ModelProto) -> onnx.TensorProto:
    """What a node gives whose inputs are all constants, by onnx's own reference."""
    inputs = [helper.make_tensor_value_info(name, known[name].data_type, known[name].dims) for name in node.input]
    output = helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "constant", inputs, [output])
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    values = {name: numpy_helper.to_array(known[name]) for name in node.input}
    outputs: Any = ReferenceEvaluator(alone).run(None, values)
    result = np.asarray(outputs[0], np.float32)
    return numpy_helper.from_array(np.ascontiguousarray(result), node.output[0])


def _dynamic_batch(model: onnx.ModelProto, _manifest: Manifest, _folder: Path) -> None:
    """Any number of faces in one run, where the published network has room for one."""
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    heads = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        shape = numpy_helper.to_array(tensor)
        if tensor.name in heads and shape[0] == 1:  # 0 means: as many as come in
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), tensor.name))


def _dynamic_size(model: onnx.ModelProto, _manifest: Manifest, _folder: Path) -> None:
    """Any height and width in multiples of 32; the published detector is drawn for 640 x 640."""
    graph = model.graph
    dims = graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_param, dims[3].dim_param = "height", "width"
    for value in graph.output:
        value.type.tensor_type.shape.dim[1].dim_param = f"{value.name}_cells"


def _quantise_pointwise(model: onnx.ModelProto, manifest: Manifest, _folder: Path) -> None:
    if manifest.activation_ranges is None:
        raise EngineRefused(f"{manifest.name} names no activation_ranges", "Add what `fvctl quantise` prints.")
    quantise(model, manifest.activation_ranges)


def _split_prelu(model: onnx.ModelProto, _manifest: Manifest, _folder: Path) -> None:
    """PRelu(x) as a x + (1 - a) Relu(x): the same numbers, in operators that onnxruntime runs in its fast layout.

    Measured with onnxruntime 1.32 on one CPU core: 22.0 ms to 8.3 ms for one face, cosine 1.0.
    """
    graph = model.graph
    slopes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _prelu_parts(node, slopes, graph) if node.op_type == "PRelu" else [node]
    _replace(graph.node, nodes)
    used = {name for node in nodes for name in node.input}
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])


def _prelu_parts(
    node: onnx.NodeProto, slopes: dict[str, npt.NDArray[np.float32]], graph: Graph
) -> list[onnx.NodeProto]:
    (x, slope), y = node.input, node.output[0]
    a = slopes[slope].astype(np.float32).reshape(1, -1, 1, 1)
    graph.initializer.extend(
        [numpy_helper.from_array(a, f"{y}_slope"), numpy_helper.from_array(np.float32(1) - a, f"{y}_rest")]
    )
    return [
        helper.make_node("Relu", [x], [f"{y}_relu"]),
        helper.make_node("Mul", [x, f"{y}_slope"], [f"{y}_linear"]),
        helper.make_node("Mul", [f"{y}_relu", f"{y}_rest"], [f"{y}_positive"]),
        helper.make_node("Add", [f"{y}_linear", f"{y}_positive"], [y]),
    ]


def _join_occlusion_head(model: onnx.ModelProto, manifest: Manifest, folder: Path) -> None:
    """The occlusion head on the network's own features: a 1 x 1 convolution, then one weighted sum per region."""
    if manifest.occlusion is None:
        raise EngineRefused(f"{manifest.name} names no occlusion head", "Add `occlusion` to its manifest.")
    graph = model.graph
    weights = folder / manifest.occlusion.weights
    if not weights.is_file() or hashlib.sha256(weights.read_bytes()).hexdigest() != manifest.occlusion.weights_sha256:
        raise EngineRefused(f"{weights} is not the file that the manifest pins", "Restore it from the release.")
    with np.load(weights, allow_pickle=False) as head:
        channels = len(head["bias"])
        constants = {
            "head_weight": head["weight"].reshape(channels, -1, 1, 1),
            "head_bias": head["bias"],
            "head_sums": head["regions"].reshape(len(REGIONS), -1).T,
            "head_sums_bias": head["regions_bias"],
        }
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name) for name, value in constants.items()
    )
    first, second = list(constants)[:2], list(constants)[2:]
    graph.node.extend(
        [
            helper.make_node("Conv", [manifest.occlusion.feature, *first], ["head_channels"], kernel_shape=[1, 1]),
            helper.make_node("Relu", ["head_channels"], ["head_cells"]),
            helper.make_node("Flatten", ["head_cells"], ["head_row"]),
            helper.make_node("Gemm", ["head_row", *second], ["head_logits"]),
            helper.make_node("Sigmoid", ["head_logits"], [VISIBLE_OUTPUT]),
            helper.make_node("Identity", [graph.output[0].name], [EMBEDDING_OUTPUT]),
        ]
    )
    outputs = {EMBEDDING_OUTPUT: graph.output[0].type.tensor_type.shape.dim[1].dim_value, VISIBLE_OUTPUT: len(REGIONS)}
    _replace(
        graph.output,
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [_BATCH, size]) for name, size in outputs.items()],
    )


def with_outputs(model: bytes, *names: str) -> bytes:
    """The same model with inner values as its only outputs, to learn from them."""
    opened = onnx.load_model_from_string(model)
    wanted = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in dict.fromkeys(names)]
    _replace(opened.graph.output, wanted)
    return bytes(opened.SerializeToString(deterministic=True))


def _replace(field: Any, values: Sequence[Any]) -> None:  # noqa: ANN401
    """Protobuf's repeated fields cannot be assigned."""
    del field[:]
    field.extend(values)


_REWRITES: dict[Rewrite, Callable[[onnx.ModelProto, Manifest, Path], None]] = {
    Rewrite.FOLD_CONSTANTS: _fold_constants,
    Rewrite.DYNAMIC_BATCH: _dynamic_batch,
    Rewrite.DYNAMIC_SIZE: _dynamic_size,
    Rewrite.QUANTISE_POINTWISE: _quantise_pointwise,
    Rewrite.SPLIT_PRELU: _split_prelu,
    Rewrite.JOIN_OCCLUSION_HEAD: _join_occlusion_head,
}
