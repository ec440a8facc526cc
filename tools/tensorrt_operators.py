"""What TensorRT's ONNX parser takes: operators, their types, and what it does not take of them.

One table serves JetPack 6 and 7: it holds what both TensorRT 8.5 and 10.15 say of themselves, so those between do too.
An operator that is not listed counts as unknown: look it up in the source, then add it.

Source: onnx-tensorrt, docs/operators.md of TensorRT 8.5 and 10.15; INT64 since 9.0, docs/Changelog.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Attributes = Mapping[str, Any]
"""A node's attributes by name, as Python values."""

_FLOATS = frozenset({"FLOAT", "FLOAT16"})
_NUMBERS = _FLOATS | {"INT32", "INT64"}
_ALL = _NUMBERS | {"BOOL"}

_ON_FLOATS = """
    AveragePool BatchNormalization Ceil Clip Conv ConvTranspose Dropout Elu Erf Exp Floor Gemm GlobalAveragePool
    GlobalMaxPool HardSigmoid HardSwish InstanceNormalization LeakyRelu Log LpNormalization MatMul MaxPool PRelu Pow
    QuantizeLinear Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Resize Round Selu Sigmoid Softmax
    Softplus Sqrt Tanh Upsample
"""
_ON_NUMBERS = "Abs Add Div Equal Greater Less Max Mean Min Mul Neg Pad Sub Sum"
_ON_ALL = """
    Cast Concat Constant ConstantOfShape Expand Flatten Gather Identity Reshape Shape Slice Split Squeeze Transpose
    Unsqueeze Where
"""
TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(_ON_FLOATS.split(), _FLOATS),
    **dict.fromkeys(_ON_NUMBERS.split(), _NUMBERS),
    **dict.fromkeys(_ON_ALL.split(), _ALL),
    "DequantizeLinear": frozenset({"INT8"}),
}
"""Operator to the types of ONNX that it takes as its first input."""


def _resize(given: Attributes) -> str | None:
    allowed = {
        "mode": ("nearest", "linear"),
        "coordinate_transformation_mode": (
            "half_pixel",
            "pytorch_half_pixel",
            "tf_half_pixel_for_nn",
            "asymmetric",
            "align_corners",
        ),
        "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
        "keep_aspect_ratio_policy": ("stretch",),
        "antialias": (0,),
    }
    return next(
        (f"{name}={given[name]}" for name, good in allowed.items() if given.get(name, good[0]) not in good), None
    )


def _pool(given: Attributes) -> str | None:
    if not 2 <= len(given["kernel_shape"]) <= 3:
        return "only over two or three dimensions"
    return "dilations other than 1" if set(given.get("dilations", [1])) != {1} else None


def _trained(given: Attributes) -> str | None:
    return "training_mode" if given.get("training_mode", 0) else None


def _blocks(given: Attributes) -> str | None:
    """Block quantisation: TensorRT has it for INT4 and FP4 only, which no operator here has."""
    return f"block_size={given['block_size']}" if given.get("block_size", 0) else None


RESTRICTIONS: dict[str, Callable[[Attributes], str | None]] = {
    "Resize": _resize,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "BatchNormalization": _trained,
    "QuantizeLinear": _blocks,
    "DequantizeLinear": _blocks,
}
"""Operator to a function that says which of a node's attributes is not taken, or None."""
