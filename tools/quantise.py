"""`fvctl quantise PHOTOS --network NAME`: what the inputs of a network's wide layers go through, for its manifest.

    fvctl quantise lfw --network sface_int8     prints `activation_ranges` for trt_engines/sface_int8/manifest.yaml

A range leaves out the 1 in 10,000 smallest and greatest values: rounding all others finer gains more than cutting those
off costs.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import onnx

from daemon.config import Accelerator, Policy, load_config
from daemon.errors import ConfigurationRefused
from daemon.face.network import as_batch
from daemon.inference.accelerators import Target
from daemon.inference.network import open_network
from daemon.manifest import Rewrite, load_manifest
from daemon.records import Floats
from tools.console import OK, show
from tools.engines import detector_from_source, source_network
from tools.extraction import face_crops, labelled_photos
from tools.quantisation import quantisable
from tools.recipe import device_model, with_outputs

_TAIL = 1e-4
"""Share of values beyond each end of a range. Source: trt_engines/sface_int8/README.md."""

_FACES, _BATCH = 200, 8


def activation_ranges(folder: Path, faces: Floats, cache: Path) -> dict[str, tuple[float, float]]:
    """Layer to the range of its input, rounded to four digits.

    Args:
        folder: the network's folder; its manifest need not have ranges yet.
        faces: float32 (n, 3, 112, 112), as the network wants them.
        cache: folder of fetched archives.

    Raises:
        DeviceError: the network cannot be had, or the recipe does not fit it.
    """
    manifest = load_manifest(folder)
    # Before its activations are split, as the rewrite will find it.
    plain = tuple(one for one in manifest.recipe if one in (Rewrite.FOLD_CONSTANTS, Rewrite.DYNAMIC_BATCH))
    bare = dataclasses.replace(manifest, recipe=plain)
    model = device_model(source_network(bare, cache), bare, folder)
    layers = quantisable(onnx.load_model_from_string(model))
    target = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=1)
    network = open_network(with_outputs(model, *layers.values()), bare, target)
    ends: dict[str, list[Floats]] = {name: [] for name in layers}
    for start in range(0, len(faces), _BATCH):
        found = network.run(faces[start : start + _BATCH])
        for name, source in layers.items():
            ends[name].append(np.quantile(found[source], (_TAIL, 1 - _TAIL)).astype(np.float32))
    return {name: tuple(float(f"{end:.4g}") for end in np.median(pairs, axis=0)) for name, pairs in ends.items()}  # type: ignore[misc]  # two ends


def run(args: argparse.Namespace) -> int:
    """Print the ranges."""
    settings = load_config(args.config).inference
    folder = settings.networks / args.network
    photos = labelled_photos(args.photos)
    some = photos[:: max(1, len(photos) // _FACES)][:_FACES]
    detector = detector_from_source(settings.networks / settings.detection, args.cache)
    crops = [crop for crop in face_crops([photo.path for photo in some], detector, settings.threads) if crop]
    if not crops:
        raise ConfigurationRefused("no face was found", "Name a folder with photos of faces.")
    faces = as_batch(np.stack([crop.rgb for crop in crops]), load_manifest(folder).preprocessing)
    show({"activation_ranges": activation_ranges(folder, faces, args.cache)}, as_json=args.json)
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity")
    parser.add_argument("--network", required=True, help="recognition network to measure")
    parser.add_argument("--cache", type=Path, default=Path(".state/cache"), help="folder of fetched archives")
