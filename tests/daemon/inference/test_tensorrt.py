"""What TensorRT is told: every option that a build and a load need, and none that onnxruntime does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.inference.tensorrt import building_options, engine_options, loading_options
from tests.daemon.inference.copies import MANIFEST


def test_tensorrt_is_told_all_three_shapes_of_the_profile() -> None:
    options = engine_options(MANIFEST.profile, "input", fp16=True)
    # By hand from trt_engines/yunet/manifest.yaml, in the words of onnxruntime's TensorRT provider.
    assert options["trt_profile_min_shapes"] == "input:1x3x32x32"
    assert options["trt_profile_opt_shapes"] == "input:2x3x320x320"
    assert options["trt_profile_max_shapes"] == "input:4x3x1280x1280"


@pytest.mark.parametrize(("fp16", "said"), [(True, "1"), (False, "0")])
def test_half_precision_is_what_was_asked_for(fp16: bool, said: str) -> None:
    assert engine_options(MANIFEST.profile, "input", fp16)["trt_fp16_enable"] == said


def test_memory_is_bounded_and_no_graph_is_captured() -> None:
    options = engine_options(MANIFEST.profile, "input", fp16=True)
    assert int(options["trt_max_workspace_size"]) == 1024**3
    assert (options["trt_auxiliary_streams"], options["trt_cuda_graph_enable"]) == ("0", "0")


def test_a_build_leaves_a_context_model_that_names_its_engine_by_a_relative_path() -> None:
    options = building_options(Path("/made/compiled"), Path("/timings"), "yunet")
    assert options["trt_ep_context_file_path"] == "/made/compiled/model_ctx.onnx"
    assert options["trt_ep_context_embed_mode"] == "0"
    assert not Path(options["trt_engine_cache_path"]).is_absolute()
    assert options["trt_timing_cache_path"] == "/timings"


def test_a_load_finds_the_engine_and_writes_nothing() -> None:
    options = loading_options(Path("/published/compiled/model_ctx.onnx"))
    assert options["trt_ep_context_file_path"] == "/published/compiled/model_ctx.onnx"
    assert options["trt_engine_cache_enable"] == options["trt_dump_ep_context_model"] == "0"
