"""An independent witness: OpenCV reads the networks as published and must see what the device models see.

The published files are block-quantised, which OpenCV runs by code of its own; nothing of the recipe is shared.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from daemon.errors import EngineRefused
from daemon.face.alignment import align
from daemon.face.candidates import decode_heads
from daemon.face.network import as_batch
from daemon.face.recognition import EMBEDDING_OUTPUT
from daemon.inference.golden import cosine
from daemon.inference.network import OnnxNetwork
from daemon.manifest import Manifest
from daemon.photo.decoder import PhotoDecoder
from daemon.records import Bytes, Face, Floats, Pixels
from tools.extraction import LIMITS

_LOOK_PX = 320
_PORTRAIT_PX = 480
"""Longer sides of the copies that both readings are shown: for a detector, and to cut a face from."""

_CONFIDENCE_MIN = 0.6
_OVERLAP_MAX = 0.3
"""Least confidence of a face, and overlap above which two count as one. Source of the latter: OpenCV's default."""

_IOU_MIN = 0.98
"""Least overlap of a face's box to the witness' box. Source: the gate in trt_engines/README.md."""

_REMEDY = "Do not use this engine; the network file or the recipe is not what it should be. Report it."


def check_against_witness(source: bytes, network: OnnxNetwork, photos: dict[str, bytes]) -> dict[str, float]:
    """Compare the device model with OpenCV's reading of the published network.

    Args:
        source: the network as published, ONNX bytes.
        network: the device model, loaded.
        photos: sample photos, JPEG bytes by name.

    Returns:
        Least agreement found, by name.

    Raises:
        EngineRefused: they differ by more than the manifest allows.
    """
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.onnx"
        original.write_bytes(source)
        check = _check_detector if network.manifest.task == "detection" else _check_recogniser
        found = check(original, network, photos)
    least = {"box_iou": _IOU_MIN}
    for name, value in found.items():
        if not value >= least.get(name, network.manifest.cosine_min):
            raise EngineRefused(
                f"network {network.manifest.name}: {name} to OpenCV's reading of the original is {value:.6f}, at least "
                f"{least.get(name, network.manifest.cosine_min)} is expected",
                _REMEDY,
            )
    return {name: round(value, 7) for name, value in found.items()}


def golden_input(manifest: Manifest, photos: dict[str, bytes]) -> Floats:
    """A batch of real photos on which an engine must give its golden vectors.

    Args:
        manifest: of the network.
        photos: sample photos, JPEG.

    Returns:
        float32, two photos: 320 x 320 px with a face for a detector, 112 x 112 px faces for a recogniser.
    """
    side_px = _LOOK_PX if manifest.task == "detection" else manifest.profile.usual[2]
    return as_batch(np.stack([_middle(photos[name], side_px) for name in ("obama", "biden")]), manifest.preprocessing)


def _middle(photo: bytes, side_px: int) -> Bytes:
    """The upper middle of a portrait as a square."""
    rgb = small_copy(photo, _PORTRAIT_PX).rgb
    side = min(rgb.shape[:2])
    left = (rgb.shape[1] - side) // 2
    return np.asarray(
        cv2.resize(rgb[:side, left : left + side], (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8
    )


def small_copy(photo: bytes, long_side_px: int) -> Pixels:
    """A photo shrunk so that its longer side is long_side_px."""
    rgb = PhotoDecoder(LIMITS).decode(memoryview(photo), auto_rotate=False).rgb
    scale = long_side_px / max(rgb.shape[:2])
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    return Pixels(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8))


def _opencv_face(detector: cv2.FaceDetectorYN, rgb: Bytes) -> Floats:
    detector.setInputSize((rgb.shape[1], rgb.shape[0]))
    _, faces = detector.detect(np.ascontiguousarray(rgb[..., ::-1]))
    if faces is None:
        raise EngineRefused("OpenCV finds no face in a sample photo", _REMEDY)
    return np.asarray(faces[0], np.float32)


def _check_detector(original: Path, network: OnnxNetwork, photos: dict[str, bytes]) -> dict[str, float]:
    detector = cv2.FaceDetectorYN.create(str(original), "", (_LOOK_PX, _LOOK_PX), _CONFIDENCE_MIN)
    raw = cv2.dnn.readNet(str(original))
    names = raw.getUnconnectedOutLayersNames()
    overlaps, cosines = [], []
    for photo in photos.values():
        rgb = small_copy(photo, _LOOK_PX).rgb
        canvas = np.zeros((_LOOK_PX, _LOOK_PX, 3), np.uint8)
        canvas[: rgb.shape[0], : rgb.shape[1]] = rgb
        batch = as_batch(canvas[None], network.manifest.preprocessing)
        outputs = network.run(batch)
        faces = decode_heads(outputs, _LOOK_PX, _CONFIDENCE_MIN)[0].without_overlaps(_OVERLAP_MAX)
        overlaps.append(max((overlap(box, _opencv_face(detector, canvas)[:4]) for box in faces.boxes), default=0.0))
        raw.setInput(batch)
        cosines += [cosine(outputs[name], seen) for name, seen in zip(names, raw.forward(names), strict=True)]
    return {"box_iou": min(overlaps), "output_cosine": min(cosines)}


def _check_recogniser(original: Path, network: OnnxNetwork, photos: dict[str, bytes]) -> dict[str, float]:
    recogniser = cv2.FaceRecognizerSF.create(str(original), "")
    cosines = []
    for photo in photos.values():
        pixels = small_copy(photo, _PORTRAIT_PX)
        crop = align(pixels, some_face(pixels)).rgb
        seen = recogniser.feature(np.ascontiguousarray(crop[..., ::-1]))
        ours = network.run(as_batch(crop[None], network.manifest.preprocessing))[EMBEDDING_OUTPUT]
        cosines.append(cosine(ours, seen))
    return {"embedding_cosine": min(cosines)}


def some_face(pixels: Pixels) -> Face:
    """A face-sized part of the upper middle of a portrait: any real pixels serve to compare two readings."""
    width, height = pixels.rgb.shape[1], pixels.rgb.shape[0]
    landmarks = np.array([(0.42, 0.2), (0.58, 0.2), (0.5, 0.27), (0.44, 0.33), (0.56, 0.33)]) * (width, height)
    return Face(np.array([0, 0, width, height], np.float32), landmarks.astype(np.float32), 1.0)


def overlap(first: Floats, second: Floats) -> float:
    """Intersection over union of two boxes: left, top, width, height."""
    corners = [np.concatenate([box[:2], box[:2] + box[2:]]) for box in (first, second)]
    inner = np.clip(np.minimum(corners[0][2:], corners[1][2:]) - np.maximum(corners[0][:2], corners[1][:2]), 0, None)
    shared = float(inner[0] * inner[1])
    return shared / (float(first[2] * first[3] + second[2] * second[3]) - shared)
