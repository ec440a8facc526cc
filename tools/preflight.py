"""Whether TensorRT can be expected to build a device model, told without a GPU.

Operators, types and opset against what the JetPack's TensorRT says of itself; shapes inferred from the input to every
output, with any batch and at each shape of the network's profile. What TensorRT makes of it is shown by a build alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import onnx
from onnx import helper

from daemon.errors import EngineRefused
from daemon.manifest import Manifest
from tools.jetpacks import JETPACKS, JetPack
from tools.tensorrt_operators import RESTRICTIONS, TYPES

_BATCH = "batch"
_WEIGHT_VALUES = 64
"""Constants with more values are weights, whose values say nothing about shapes; fewer may be shapes."""

_TYPE_NAMES = dict(zip(onnx.TensorProto.DataType.values(), onnx.TensorProto.DataType.keys(), strict=True))


class _Value(NamedTuple):
    """What shape inference says of one value: its type's name, and its sides: known, named or unknown."""

    kind: str
    shape: tuple[int | str | None, ...] | None


def preflight(model: bytes, manifest: Manifest, jetpack: str) -> list[str]:
    """What stands against a model on a JetPack, in words; nothing where TensorRT should take it.

    Args:
        model: what the parser would read, ONNX bytes.
        manifest: the network, for its shapes.
        jetpack: major version.
    """
    opened = onnx.load_model_from_string(model)
    _without_weights(opened)
    try:
        values = _values(opened, (_BATCH, *manifest.profile.usual[1:]))
        return [
            *_format_faults(opened, JETPACKS[jetpack]),
            *_operator_faults(opened.graph, values),
            *_batch_faults(opened.graph, values),
            *_profile_faults(opened, manifest),
        ]
    except onnx.shape_inference.InferenceError as error:
        return [f"shapes do not follow from the input: {error}"]


def refuse_unfit(model: bytes, manifest: Manifest) -> None:
    """Check a model for every JetPack.

    Raises:
        EngineRefused: one of them would not take it.
    """
    for jetpack, facts in JETPACKS.items():
        if faults := preflight(model, manifest, jetpack):
            raise EngineRefused(
                f"network {manifest.name} is not for JetPack {jetpack}, TensorRT {facts.tensorrt}: {'; '.join(faults)}",
                "Correct the network or the rewrites in its manifest; `fvctl engines preflight` checks again.",
            )


def _without_weights(model: onnx.ModelProto) -> None:
    """Make weights inputs: their values are not looked at, and shape inference need not copy them."""
    graph = model.graph
    weights = [tensor for tensor in graph.initializer if _count(tensor) > _WEIGHT_VALUES]
    kept = [tensor for tensor in graph.initializer if _count(tensor) <= _WEIGHT_VALUES]
    graph.input.extend(helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in weights)
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _count(tensor: onnx.TensorProto) -> int:
    count = 1
    for side in tensor.dims:
        count *= side
    return count


def _values(model: onnx.ModelProto, input_shape: tuple[int | str, ...]) -> dict[str, _Value]:
    """Every value of the graph for one shape of the input, weights included."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    first = graph.input[0]
    first.CopyFrom(helper.make_tensor_value_info(first.name, first.type.tensor_type.elem_type, input_shape))
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True).graph
    known = {tensor.name: _Value(_TYPE_NAMES[tensor.data_type], tuple(tensor.dims)) for tensor in graph.initializer}
    return known | {value.name: _read(value) for value in [*inferred.input, *inferred.value_info, *inferred.output]}


def _read(value: onnx.ValueInfoProto) -> _Value:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return _Value(_TYPE_NAMES[tensor.elem_type], None)
    sides = (side.dim_value if side.HasField("dim_value") else side.dim_param or None for side in tensor.shape.dim)
    return _Value(_TYPE_NAMES[tensor.elem_type], tuple(sides))


def _format_faults(model: onnx.ModelProto, jetpack: JetPack) -> Iterator[str]:
    least, most = jetpack.opsets
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            yield f"operators of {opset.domain}, which TensorRT does not know"
        elif not least <= opset.version <= most:
            yield f"opset {opset.version}, TensorRT {jetpack.tensorrt} takes {least} to {most}"
    if model.ir_version > jetpack.ir_max:
        yield f"ONNX format {model.ir_version}, TensorRT {jetpack.tensorrt} reads up to {jetpack.ir_max}"


def _operator_faults(graph: onnx.GraphProto, values: dict[str, _Value]) -> list[str]:
    """Each fault once, with how many nodes have it."""
    counted = Counter(fault for node in graph.node for fault in _node_faults(node, values))
    return [f"{count} x {fault}" for fault, count in counted.items()]


def _node_faults(node: onnx.NodeProto, values: dict[str, _Value]) -> Iterator[str]:
    taken = TYPES.get(node.op_type)
    if taken is None or node.domain not in ("", "ai.onnx"):
        yield f"operator {node.op_type}, which is not in the table of what TensorRT takes"
        return
    quantises = node.op_type in ("QuantizeLinear", "DequantizeLinear")  # gives another type than it takes
    looked_at = node.input[:1] if quantises else [*node.input[:1], *node.output[:1]]
    for kind in {values[name].kind for name in looked_at if name in values} - taken:
        yield f"{node.op_type} on {kind}"
    restricted = RESTRICTIONS.get(node.op_type)
    given = {attribute.name: _plain(helper.get_attribute_value(attribute)) for attribute in node.attribute}
    if restricted and (refused := restricted(given)):
        yield f"{node.op_type} with {refused}"
    if node.op_type == "MaxPool" and len(node.output) > 1:
        yield "MaxPool with indices"


def _plain(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _batch_faults(graph: onnx.GraphProto, values: dict[str, _Value]) -> Iterator[str]:
    """No output may have a batch of its own.

    That it is the input's is told at the profile's shapes: through a Resize onnx follows numbers only, not names.
    """
    for output in graph.output:
        shape = values[output.name].shape
        if not shape or isinstance(shape[0], int):
            yield f"output {output.name} has shape {shape} whatever the batch is"


def _profile_faults(model: onnx.ModelProto, manifest: Manifest) -> Iterator[str]:
    """At each shape of the profile, every side of every value must be known."""
    profile = manifest.profile
    for name, shape in {"smallest": profile.smallest, "usual": profile.usual, "largest": profile.largest}.items():
        values = _values(model, shape)
        unknown = [what for what, value in values.items() if value.shape is None or None in value.shape]
        if unknown:
            yield f"at the {name} shape {shape} {len(unknown)} values have unknown sides, {unknown[0]} first"
        wrong = [one.name for one in model.graph.output if (values[one.name].shape or (None,))[0] != shape[0]]
        if wrong:
            yield f"at the {name} shape {shape} outputs {', '.join(wrong)} have another batch"
