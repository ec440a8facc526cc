"""What TensorRT is told, as onnxruntime's provider takes it: what makes an engine, how it is built, how it is loaded.

Source of all names and rules: onnxruntime, TensorRT execution provider, "Configurations" and "TensorRT EP Caches".
"""

from __future__ import annotations

from pathlib import Path

from daemon.manifest import Profile

CONTEXT_FILE = "model_ctx.onnx"
"""The model whose one node is the built engine: loading it skips the parser and the builder."""

_ENGINE_FOLDER = "engine"
"""Beside the context model, which names it by this relative path: it refuses absolute ones, and `..`."""

_WORKSPACE_BYTES = 1 << 30
"""Bounded, as a Jetson shares its memory with the CPU; unlimited by default since onnxruntime 1.19."""


def engine_options(profile: Profile, input_name: str, fp16: bool) -> dict[str, str]:
    """What makes an engine another one.

    Args:
        profile: shapes it is built for; others would rebuild it inside a request, which takes minutes.
        input_name: the network's input.
        fp16: whether layers may compute in half precision; what comes out is then gated.
    """

    def _shapes(shape: tuple[int, ...]) -> str:
        return f"{input_name}:{'x'.join(str(side) for side in shape)}"

    return {
        "device_id": "0",
        "trt_profile_min_shapes": _shapes(profile.smallest),
        "trt_profile_opt_shapes": _shapes(profile.usual),
        "trt_profile_max_shapes": _shapes(profile.largest),
        "trt_fp16_enable": "1" if fp16 else "0",
        "trt_max_workspace_size": str(_WORKSPACE_BYTES),
        "trt_builder_optimization_level": "3",
        "trt_auxiliary_streams": "0",  # least memory
        "trt_cuda_graph_enable": "0",  # a captured graph holds one shape
    }


def building_options(folder: Path, timings: Path, prefix: str) -> dict[str, str]:
    """Where a build leaves its files.

    Args:
        folder: empty: where a context model is there already, the provider refuses to write one.
        timings: folder of what was measured in earlier builds, which makes this one faster.
        prefix: of the engine's file.
    """
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": _ENGINE_FOLDER,
        "trt_engine_cache_prefix": prefix,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timings),
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(folder / CONTEXT_FILE),
        "trt_ep_context_embed_mode": "0",  # the engine in a file of its own: loads faster, and is no 2 GB protobuf
    }


def loading_options(context: Path) -> dict[str, str]:
    """How a built engine is found: beside its context model; nothing is built or written."""
    return {
        "trt_engine_cache_enable": "0",
        "trt_timing_cache_enable": "0",
        "trt_dump_ep_context_model": "0",
        "trt_ep_context_file_path": str(context),
    }
