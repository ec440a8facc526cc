"""`fvctl train-occlusion`: the weights with which the recognition network also says what covers a face.

One logistic regression over the 512 features of a cell, the same for all 14 x 14 cells, says how likely the cell is
visible; each region is the weighted mean of its cells. Trained on aligned crops of a labelled folder with occluders
drawn on them by `tools.occluders`, reproducible from a seed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daemon.config import Accelerator, Policy
from daemon.errors import ConfigurationRefused
from daemon.face.alignment import PLACES
from daemon.face.network import as_batch
from daemon.inference import Target, open_network
from daemon.records import CROP_SIZE_PX, REGIONS, Bytes, Doubles
from tools.console import OK, progress, say, show
from tools.engines import detector_from_source, headless_model
from tools.extraction import face_crops, labelled_photos
from tools.occluders import HARD_NEGATIVES, OCCLUDERS, Cover, Random
from tools.recipe import with_output

Features = Callable[[Bytes], npt.NDArray[np.float32]]

_CELLS = 14
_CELL_PX = CROP_SIZE_PX // _CELLS
"""Cells along a side of the feature map that the manifest names, and pixels of the crop that one stands for."""

_BATCH = 32
_CELLS_PER_CROP = 48
"""Crops in one run, and cells of each that are learned from at most."""

_RIDGE = 1e-3
_NEWTON_STEPS = 12
"""Penalty on the weights per cell, for standardised features, and steps of the fit."""

_REGION_BOXES = {
    "left_eye": (PLACES[1], (13.0, 8.0)),
    "right_eye": (PLACES[0], (13.0, 8.0)),
    "nose": (PLACES[2], (11.0, 12.0)),
    "mouth": (((PLACES[3][0] + PLACES[4][0]) / 2, (PLACES[3][1] + PLACES[4][1]) / 2), (20.0, 9.0)),
}
"""Centre and half width and height in px of each region in an aligned crop: an eye with its lids, the nose below its
root, the lips. Source: the landmarks' places in `daemon.face.alignment`, and the eye distance of 35 px there."""


def region_weights() -> npt.NDArray[np.float32]:
    """How much each cell counts for each region: float32 (196, 4), columns as REGIONS, each summing to 1."""
    columns = []
    for region in REGIONS:
        (x, y), (half_width, half_height) = _REGION_BOXES[region]
        canvas = np.zeros((CROP_SIZE_PX, CROP_SIZE_PX), np.float32)
        top, left = round(y - half_height), round(x - half_width)
        canvas[max(0, top) : round(y + half_height), max(0, left) : round(x + half_width)] = 1
        cells = canvas.reshape(_CELLS, _CELL_PX, _CELLS, _CELL_PX).sum(axis=(1, 3)).ravel()
        columns.append(cells / cells.sum())
    return np.stack(columns, axis=1).astype(np.float32)


def occluded(crop: Bytes, random: Random) -> tuple[Bytes, Cover]:
    """One training example: a clean crop, a hard negative, or one or two occluders, sometimes both kinds."""
    cover: Cover = np.zeros((CROP_SIZE_PX, CROP_SIZE_PX), np.bool_)
    drawn = crop
    if random.random() < 0.35:
        drawn = HARD_NEGATIVES[int(random.integers(len(HARD_NEGATIVES)))](drawn, random)
    if random.random() < 0.65:
        for _ in range(int(random.integers(1, 3))):
            drawn, more = OCCLUDERS[int(random.integers(len(OCCLUDERS)))](drawn, random)
            cover = cover | more
    if random.random() < 0.3:
        drawn = HARD_NEGATIVES[1 + int(random.integers(len(HARD_NEGATIVES) - 1))](drawn, random)
    return drawn, cover


def _examples(crops: Bytes, features: Features, random: Random) -> Iterator[tuple[Doubles, Doubles]]:
    """Cells of one batch after another: features (cells, 512) and whether each is visible, 1.0 or 0.0."""
    batches = range(0, len(crops), _BATCH)
    for start in progress(batches, len(batches), "occluders"):
        drawn, covers = zip(*(occluded(crop, random) for crop in crops[start : start + _BATCH]), strict=True)
        share = np.stack(covers).reshape(-1, _CELLS, _CELL_PX, _CELLS, _CELL_PX).mean(axis=(2, 4)).reshape(-1)
        found = features(np.stack(drawn)).transpose(0, 2, 3, 1).reshape(len(share), -1)
        inner = np.tile(region_weights().sum(axis=1) > 0, len(drawn))
        clear_cut = ((share < 0.1) | (share > 0.6)) & (inner | (random.random(len(share)) < 0.2))
        chosen = np.flatnonzero(clear_cut)
        chosen = random.permutation(chosen)[: _CELLS_PER_CROP * len(drawn)]
        yield found[chosen].astype(np.float64), (share[chosen] < 0.1).astype(np.float64)


def fit_logistic(features: Doubles, visible: Doubles) -> tuple[Doubles, float]:
    """Weights and bias of a logistic regression, by Newton's method with a small ridge.

    Source: T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd edition, 4.4.1.

    Args:
        features: float64 (n, d).
        visible: float64 (n,), 1.0 or 0.0.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    rows = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    beta: Doubles = np.zeros(rows.shape[1])
    ridge = np.full(rows.shape[1], _RIDGE * len(rows))
    ridge[-1] = 0
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ beta, -30, 30)))
        slope = rows.T @ (visible - chance) - ridge * beta
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(ridge + 1e-9)
        beta = beta + np.linalg.solve(curve, slope)
    weight = beta[:-1] / spread
    return weight, float(beta[-1] - weight @ mean)


def _feature_source(args: argparse.Namespace) -> Features:
    model, manifest = headless_model(args.networks / args.network, args.cache)
    if manifest.occlusion is None:
        raise ConfigurationRefused(f"{args.network} names no occlusion feature", "Add `occlusion` to its manifest.")
    target = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=args.threads)
    network = open_network(with_output(model, manifest.occlusion.feature), manifest, target)
    return lambda crops: next(iter(network.run(as_batch(crops, manifest.preprocessing)).values()))


def run(args: argparse.Namespace) -> int:
    """Train, and write the head's weights."""
    cv2.setNumThreads(1)
    random = np.random.default_rng(args.seed)
    photos = labelled_photos(args.photos)
    detector = detector_from_source(args.networks / args.detector, args.cache)
    found = face_crops([photo.path for photo in photos], detector, args.threads)
    crops = np.stack([crop.rgb for crop in found if crop is not None])
    say(f"{len(crops)} faces; drawing occluders")
    crops = np.concatenate([crops[random.permutation(len(crops))] for _ in range(args.rounds)])
    parts = list(_examples(crops, _feature_source(args), random))
    features, visible = (np.concatenate(column) for column in zip(*parts, strict=True))
    say(f"{len(features)} cells, {visible.mean():.0%} of them visible; fitting")
    weight, bias = fit_logistic(features, visible)
    right = float(np.mean((features @ weight + bias > 0) == (visible > 0.5)))
    buffer = io.BytesIO()
    np.savez(buffer, weight=weight.astype(np.float32), bias=np.float32(bias), regions=region_weights())
    args.out.write_bytes(buffer.getvalue())
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    show({"file": args.out, "sha256": sha256, "cells": len(features), "cells_right": round(right, 4)}, args.json)
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity")
    parser.add_argument("--networks", type=Path, default=Path("trt_engines"), help="folder of the manifests")
    parser.add_argument("--network", default="sface", help="recognition network to train for")
    parser.add_argument("--detector", default="yunet", help="detection network")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--cache", type=Path, default=Path(".state/cache"), help="folder of fetched archives")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--rounds", type=int, default=1, help="times each face is drawn on")
    parser.add_argument("--threads", type=int, default=2)
