"""The device model as TensorRT's parser takes it: the same numbers, in an opset that every JetPack knows.

The device model keeps the opset and the inner shapes of the published file: an opset that JetPack 6 does not know, and
shapes of one 640 px photo. Nothing that computes is changed here.
"""

from __future__ import annotations

from typing import Any

import onnx

from daemon.errors import EngineRefused

OPSET = 17
"""Known to all: within 9 and 20. Source: `tools.jetpacks`."""


def portable_model(model: bytes) -> bytes:
    """The device model in opset 17, with no shapes but those of its inputs, outputs and weights.

    Raises:
        EngineRefused: an operator means something else, or is not there, in that opset.
    """
    opened = onnx.load_model_from_string(model)
    graph = opened.graph
    del graph.value_info[:]
    for opset in opened.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > OPSET:
            opset.version = OPSET
    rules = _rules(opened)
    try:
        for node in graph.node:
            onnx.checker.check_node(node, rules)
    except onnx.checker.ValidationError as error:
        raise EngineRefused(
            f"the device model is none in opset {OPSET}: {error}", "Correct the rewrites in the network's manifest."
        ) from error
    return bytes(opened.SerializeToString(deterministic=True))


def _rules(model: onnx.ModelProto) -> Any:  # noqa: ANN401 - a class of onnx's C++ part
    """What nodes are checked against: the opsets that the model states now."""
    rules = onnx.checker.C.CheckerContext()
    rules.ir_version = model.ir_version
    rules.opset_imports = {opset.domain: opset.version for opset in model.opset_import}
    return rules
