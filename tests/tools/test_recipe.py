"""Each rewrite keeps what a network computes; the device model is the same wherever it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from daemon.config import Accelerator, Policy
from daemon.errors import EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.network import open_network
from daemon.manifest import Manifest, Rewrite, load_manifest
from daemon.records import Floats
from tests.conftest import REPOSITORY, STATE
from tools.engines import headless_model, source_network
from tools.recipe import device_model, with_outputs

NETWORKS = REPOSITORY / "trt_engines"
ON_CPU = Target(Accelerator.CPU, Policy.STRICT, 1)


@pytest.fixture(scope="module")
def sface() -> Manifest:
    return load_manifest(NETWORKS / "sface")


@pytest.fixture(scope="module")
def yunet() -> Manifest:
    return load_manifest(NETWORKS / "yunet")


@pytest.fixture(scope="module", params=["sface", "yunet"])
def built(request: pytest.FixtureRequest) -> tuple[bytes, Manifest]:
    """A device model as the recipe makes it, and its manifest."""
    manifest = load_manifest(NETWORKS / request.param)
    return device_model(source_network(manifest, STATE / "cache"), manifest, NETWORKS / manifest.name), manifest


def model_bytes(nodes: list[onnx.NodeProto], constants: dict[str, npt.NDArray[np.generic]], shape: list[int]) -> bytes:
    """A network from x to y, both float32 of one shape."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(made.SerializeToString())


def rewritten(source: bytes, manifest: Manifest, *recipe: Rewrite) -> bytes:
    return device_model(source, dataclasses.replace(manifest, recipe=recipe), NETWORKS / manifest.name)


def answer(model: bytes, x: Floats) -> Floats:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0], np.float32)


def test_a_block_quantised_weight_is_folded_to_the_numbers_worked_out_by_hand(sface: Manifest) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["flat"], axis=1, block_size=2),
        helper.make_node("Reshape", ["flat", "shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    constants: dict[str, npt.NDArray[np.generic]] = {
        "q": np.array([[10, -3, 7, 0]], np.int8),
        "s": np.array([[0.5, 2.0]], np.float32),
        "z": np.array([[1, -1]], np.int8),
        "shape": np.array([2, 2], np.int64),
    }
    folded = onnx.load_model_from_string(
        rewritten(model_bytes(nodes, constants, [1, 2]), sface, Rewrite.FOLD_CONSTANTS)
    )
    assert [node.op_type for node in folded.graph.node] == ["MatMul"]
    # By hand: (10 - 1) 0.5, (-3 - 1) 0.5, (7 + 1) 2, (0 + 1) 2.
    (weight,) = folded.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(weight), [[4.5, -2.0], [16.0, 2.0]])


def _dequantised(node: onnx.NodeProto, constants: dict[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.float64]:
    """A block-quantised tensor by numpy alone. Source: ONNX operators, DequantizeLinear-21, blocked."""
    quantised, scales, zeros = (constants[name].astype(np.float64) for name in node.input)
    options = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = options["axis"], options["block_size"]
    wide = [np.repeat(value, block, axis).take(range(quantised.shape[axis]), axis) for value in (scales, zeros)]
    return np.asarray((quantised - wide[1]) * wide[0])


@pytest.mark.parametrize("name", ["sface", "yunet"])
def test_every_weight_of_a_published_network_is_folded_as_numpy_dequantises_it(name: str) -> None:
    manifest = load_manifest(NETWORKS / name)
    source = source_network(manifest, STATE / "cache")
    original = onnx.load_model_from_string(source).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in original.initializer}
    folded = onnx.load_model_from_string(rewritten(source, manifest, Rewrite.FOLD_CONSTANTS)).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in folded.initializer}
    reshaped = {node.input[0]: node.output[0] for node in original.node if node.op_type == "Reshape"}
    quantised = [node for node in original.node if node.op_type == "DequantizeLinear"]
    for node in quantised:
        weight = weights[reshaped.get(node.output[0], node.output[0])]
        np.testing.assert_allclose(weight.ravel(), _dequantised(node, constants).ravel(), rtol=1e-6)
    assert len(quantised) > 20
    assert not [node for node in folded.node if node.op_type == "DequantizeLinear"]


@pytest.mark.parametrize("seed", range(5))
def test_a_split_prelu_is_the_prelu_of_onnxs_reference(sface: Manifest, seed: int) -> None:
    random = np.random.default_rng(seed)
    slopes = np.array([*random.uniform(-3, 4, 4), -1.0, 0.0, 1.0, 2.5], np.float32).reshape(-1, 1, 1)
    source = model_bytes([helper.make_node("PRelu", ["x", "a"], ["y"])], {"a": slopes}, [2, 8, 3, 5])
    x = random.normal(0, 10, (2, 8, 3, 5)).astype(np.float32)
    split = rewritten(source, sface, Rewrite.SPLIT_PRELU)
    assert "PRelu" not in {node.op_type for node in onnx.load_model_from_string(split).graph.node}
    reference: Any = ReferenceEvaluator(onnx.load_model_from_string(source)).run(None, {"x": x})
    np.testing.assert_allclose(answer(split, x), reference[0], rtol=1e-5, atol=1e-5)


def test_a_prelu_with_a_slope_per_pixel_is_refused(sface: Manifest) -> None:
    slopes = np.ones((2, 3, 5), np.float32)
    source = model_bytes([helper.make_node("PRelu", ["x", "a"], ["y"])], {"a": slopes}, [1, 2, 3, 5])
    with pytest.raises(EngineRefused, match="makes no valid model"):
        rewritten(source, sface, Rewrite.SPLIT_PRELU)


def test_a_batch_gives_the_rows_that_its_photos_give_alone(built: tuple[bytes, Manifest]) -> None:
    model, manifest = built
    network = open_network(model, manifest, ON_CPU)
    shape = (3, *manifest.profile.usual[1:])
    batch = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    together = network.run(batch)
    for row in range(3):
        for name, alone in network.run(batch[row : row + 1]).items():
            np.testing.assert_allclose(together[name][row : row + 1], alone, rtol=1e-3, atol=1e-4)


def test_a_detector_takes_any_size_in_multiples_of_32(yunet: Manifest) -> None:
    model = device_model(source_network(yunet, STATE / "cache"), yunet, NETWORKS / "yunet")
    found = open_network(model, yunet, ON_CPU).run(np.zeros((1, 3, 96, 160), np.float32))
    # By hand: 96 / 8 times 160 / 8 cells, and so on for 16 and 32.
    assert [found[f"cls_{stride}"].shape for stride in (8, 16, 32)] == [(1, 240, 1), (1, 60, 1), (1, 15, 1)]


def test_the_device_model_is_the_same_bytes_in_another_process(built: tuple[bytes, Manifest]) -> None:
    model, manifest = built
    script = (
        "import hashlib, sys; from pathlib import Path; from tools.recipe import device_model; "
        "from tools.engines import source_network; from daemon.manifest import load_manifest; "
        "folder = Path(sys.argv[1]); manifest = load_manifest(folder); "
        "source = source_network(manifest, Path(sys.argv[2])); "
        "print(hashlib.sha256(device_model(source, manifest, folder)).hexdigest())"
    )
    command = [sys.executable, "-c", script, str(NETWORKS / manifest.name), str(STATE / "cache")]
    other = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, env=other)
    assert done.stdout.strip() == hashlib.sha256(model).hexdigest()


def test_every_weight_is_a_constant_and_no_input(built: tuple[bytes, Manifest]) -> None:
    model, manifest = built
    assert [value.name for value in onnx.load_model_from_string(model).graph.input] == [manifest.input]


@pytest.fixture
def head_folder(tmp_path: Path) -> Path:
    """A copy of SFace's folder, to be spoilt."""
    return Path(shutil.copytree(NETWORKS / "sface", tmp_path / "sface"))


def test_another_head_file_is_refused(head_folder: Path, sface: Manifest) -> None:
    head = head_folder / "occlusion_head.npz"
    head.write_bytes(head.read_bytes() + b"\0")
    with pytest.raises(EngineRefused, match=r"occlusion_head\.npz is not the file that the manifest pins"):
        device_model(source_network(sface, STATE / "cache"), sface, head_folder)


def test_a_missing_head_file_is_refused(head_folder: Path, sface: Manifest) -> None:
    (head_folder / "occlusion_head.npz").unlink()
    with pytest.raises(EngineRefused, match=r"occlusion_head\.npz is not the file that the manifest pins"):
        device_model(source_network(sface, STATE / "cache"), sface, head_folder)


def test_a_head_that_the_manifest_does_not_name_is_refused(sface: Manifest) -> None:
    headless = dataclasses.replace(sface, occlusion=None)
    with pytest.raises(EngineRefused, match="names no occlusion head"):
        device_model(source_network(sface, STATE / "cache"), headless, NETWORKS / "sface")


def test_the_joined_head_gives_what_numpy_makes_of_the_same_features(sface: Manifest) -> None:
    batch = np.random.default_rng(2).uniform(0, 255, (2, 3, 112, 112)).astype(np.float32)
    headless, bare = headless_model(NETWORKS / "sface", STATE / "cache")
    features = next(iter(open_network(with_outputs(headless, "conv_12_relu"), bare, ON_CPU).run(batch).values()))
    with np.load(NETWORKS / "sface" / "occlusion_head.npz") as head:
        parts = {name: head[name].astype(np.float64) for name in head.files}
    cells = np.einsum("nfyx,cf->ncyx", features.astype(np.float64), parts["weight"]) + parts["bias"][:, None, None]
    sums = np.einsum("ncyx,rcyx->nr", cells.clip(min=0), parts["regions"]) + parts["regions_bias"]
    wanted = 1 / (1 + np.exp(-sums))
    joined = device_model(source_network(sface, STATE / "cache"), sface, NETWORKS / "sface")
    found = open_network(joined, sface, ON_CPU).run(batch)
    assert list(found) == ["embedding", "visible"]
    np.testing.assert_allclose(found["visible"], wanted, atol=1e-4)


def test_the_joined_head_leaves_the_embedding_bit_for_bit_as_it_was(sface: Manifest) -> None:
    batch = np.random.default_rng(3).uniform(0, 255, (2, 3, 112, 112)).astype(np.float32)
    headless, bare = headless_model(NETWORKS / "sface", STATE / "cache")
    joined = device_model(source_network(sface, STATE / "cache"), sface, NETWORKS / "sface")
    (alone,) = open_network(headless, bare, ON_CPU).run(batch).values()
    np.testing.assert_array_equal(open_network(joined, sface, ON_CPU).run(batch)["embedding"], alone)
