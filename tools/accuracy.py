"""The gate before an engine counts: on its accelerator it must see what the device model sees in full precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daemon.errors import EngineRefused
from daemon.face.alignment import align
from daemon.face.candidates import Candidates, decode_heads
from daemon.face.network import as_batch
from daemon.face.recognition import EMBEDDING_OUTPUT
from daemon.inference.golden import cosine
from daemon.inference.network import OnnxNetwork
from daemon.records import Floats
from tools.witness import overlap, small_copy, some_face

_COSINE_MIN = 0.999
_IOU_MIN = 0.98
"""Least cosine of an embedding, and overlap of a face's box, to full precision. Source: the gate for lower precision in
trt_engines/README.md."""

_LOOK_PX = 320
_PORTRAIT_PX = 480
_CONFIDENCE_MIN = 0.6
_OVERLAP_MAX = 0.3
"""As in `tools.witness`."""

_SEEN_MIN = 0.5
"""Confidence that lower precision may give a face which full precision gives the least that counts."""


def check_accuracy(network: OnnxNetwork, full: OnnxNetwork, photos: dict[str, bytes]) -> dict[str, float]:
    """Compare an engine with the device model in full precision, on photos and at the batch sizes of the profile.

    Args:
        network: the engine.
        full: the device model on the CPU.
        photos: sample photos, JPEG bytes by name.

    Returns:
        Least agreement found, by name.

    Raises:
        EngineRefused: they differ by more than the gate allows.
    """
    detects = network.manifest.task == "detection"
    name, least = ("box_iou_to_fp32", _IOU_MIN) if detects else ("embedding_cosine_to_fp32", _COSINE_MIN)
    found = min((_boxes if detects else _embeddings)(network, full, photos))
    if not found >= least:
        raise EngineRefused(
            f"network {network.manifest.name} on {network.accelerator.value}: {name} is {found:.6f}, at least {least} "
            "is expected",
            "Do not use this precision for this network.",
        )
    return {name: round(found, 7)}


def _boxes(network: OnnxNetwork, full: OnnxNetwork, photos: dict[str, bytes]) -> list[float]:
    found = []
    for photo in photos.values():
        rgb = small_copy(photo, _LOOK_PX).rgb
        canvas = np.zeros((1, _LOOK_PX, _LOOK_PX, 3), np.uint8)
        canvas[0, : rgb.shape[0], : rgb.shape[1]] = rgb
        batch = as_batch(canvas, network.manifest.preprocessing)
        wanted = _faces(full.run(batch), _CONFIDENCE_MIN)[0]
        for size in _sizes(network):
            seen = _faces(network.run(np.repeat(batch, size, axis=0)), _SEEN_MIN)
            found += [_agreement(wanted, one) for one in seen]
    return found


def _faces(outputs: Mapping[str, Floats], confidence_min: float) -> list[Candidates]:
    return [one.without_overlaps(_OVERLAP_MAX) for one in decode_heads(outputs, _LOOK_PX, confidence_min)]


def _agreement(wanted: Candidates, seen: Candidates) -> float:
    """Least overlap of a wanted face with the nearest that is seen; 0 where none is wanted or none is seen."""
    if not len(wanted) or not len(seen):
        return 0.0
    return min(max(overlap(box, other) for other in seen.boxes) for box in wanted.boxes)


def _embeddings(network: OnnxNetwork, full: OnnxNetwork, photos: dict[str, bytes]) -> list[float]:
    found = []
    for photo in photos.values():
        pixels = small_copy(photo, _PORTRAIT_PX)
        batch = as_batch(align(pixels, some_face(pixels)).rgb[None], network.manifest.preprocessing)
        wanted = full.run(batch)[EMBEDDING_OUTPUT][0]
        for size in _sizes(network):
            seen: Floats = network.run(np.repeat(batch, size, axis=0))[EMBEDDING_OUTPUT]
            found += [cosine(one, wanted) for one in seen]
    return found


def _sizes(network: OnnxNetwork) -> list[int]:
    """Batch sizes: the profile's smallest, usual and largest, between which kernels are chosen anew."""
    profile = network.manifest.profile
    return sorted({profile.smallest[0], profile.usual[0], profile.largest[0]})
