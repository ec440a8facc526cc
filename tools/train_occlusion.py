r"""`fvctl train-occlusion`: the weights with which the recognition network also says what covers a face.

Learns from aligned crops of a labelled folder as they are, and with occluders and hard negatives drawn on them by
`tools.occluders`; `--known` says what the photos themselves show, `--also` adds a folder of photos of covered faces.
Reproducible from a seed. Two heads are fitted on one half of the people each and tried on the other half; what they
refuse there is the result. The head that is written is fitted on all.

    fvctl train-occlusion lfw --known trt_engines/sface/known_covers/lfw.csv \
        --also masks trt_engines/sface/known_covers/occlusion.csv --out trt_engines/sface/occlusion_head.npz
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from daemon.records import REGIONS
from tools.console import OK, say, show, show_rows
from tools.occlusion_data import Features, Learned, learned, real_faces
from tools.occlusion_head import Head, fit
from tools.occlusion_rates import Judged, refusal_rates
from tools.whole_file import write_whole


def _fitted(examples: Learned, halves: tuple[int, ...], args: argparse.Namespace) -> Head:
    chosen = np.flatnonzero(np.isin(examples.halves, halves))
    return fit(examples.windows[chosen], examples.visible[chosen], args.epochs, np.random.default_rng(args.seed))


def _held_out(examples: Learned, args: argparse.Namespace) -> Judged:
    """What each half's faces look like to a head that was fitted on the other half."""
    found = np.empty_like(examples.visible)
    for half in (0, 1):
        say(f"fitting on one half, trying on the other ({half + 1} of 2)")
        tried = np.flatnonzero(examples.halves == half)
        found[tried] = _fitted(examples, (1 - half,), args).visible(examples.windows[tried])
    return Judged(list(examples.shows), examples.visible, found)


def run(args: argparse.Namespace) -> int:
    """Train, measure on people not trained on, and write the head's weights."""
    cv2.setNumThreads(1)
    features = Features(args)
    examples = learned(real_faces(args), features, args)
    say(f"{len(examples.shows)} examples")
    least = asdict(features.occlusion.min_visible)
    rates = []
    if len(set(examples.halves)) == 2:
        rates = refusal_rates(_held_out(examples, args), [least[region] for region in REGIONS])
    else:
        say("all people are in one half: nobody is left to try the head on")
    say("fitting on all")
    content = _fitted(examples, (0, 1), args).file()
    write_whole(args.out, content)
    sha256 = hashlib.sha256(content).hexdigest()
    if args.json:
        show({"file": args.out, "sha256": sha256, "examples": len(examples.shows), "rates": rates}, as_json=True)
    else:
        show_rows(rates, as_json=False)
        show({"file": args.out, "sha256": sha256, "examples": len(examples.shows)}, as_json=False)
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity")
    parser.add_argument("--known", type=Path, help="CSV of what those photos show: photo, shows, covered, unsure")
    parser.add_argument(
        "--also", nargs=2, action="append", default=[], metavar=("FOLDER", "CSV"), help="further photos, all listed"
    )
    parser.add_argument("--networks", type=Path, default=Path("trt_engines"), help="folder of the manifests")
    parser.add_argument("--network", default="sface", help="recognition network to train for")
    parser.add_argument("--detector", default="yunet", help="detection network")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--cache", type=Path, default=Path(".state/cache"), help="folder of fetched archives")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--rounds", type=int, default=2, help="times each face is drawn on")
    parser.add_argument("--epochs", type=int, default=4, help="times each example is learned from")
    parser.add_argument("--threads", type=int, default=2)
