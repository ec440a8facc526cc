"""`fvctl calibrate`: measures what comparison scores mean, on all pairs of a labelled folder.

Writes `calibration.yaml`: the map from comparison score to verification score, so that a threshold t on the latter
has the false match rate 10^(3 - 10 t); false match and false non-match rates at the contract's thresholds, with
intervals; counts; and the hashes of the networks it was measured with.
"""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import yaml

from daemon import __version__
from daemon.app import load_networks, make_detector, make_recogniser
from daemon.config import load_config
from daemon.records import Floats
from daemon.score.calibration import Calibration, CalibrationRecord, DataSet, ErrorRate, load_calibration
from tools.console import OK, say, show_rows
from tools.error_rates import Doubles, Labels, PairScores, fmr_intervals, pair_scores
from tools.extraction import face_crops, labelled_photos
from tools.tail import ParetoTail, fit_tail

THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Source: CONTRACT, section 2."""

_TAIL_START_FMR = 1e-3
"""Above this rate pairs are counted, below it the tail's model speaks. Measured: trt_engines/sface/README.md."""

_COUNTED_MIN = 10
"""Fewer pairs than this above a threshold say too little: the rate there is called extrapolated."""

_KNOT_STEP = 0.01
_LOWEST_SCORE = 0.3
"""Verification score at a false match rate of 1."""

_BATCH = 16


def fmr_at(score: float) -> float:
    """False match rate of a threshold. Source: CONTRACT, section 2."""
    return float(10 ** (3 - 10 * score))


def knots(pairs: PairScores, tail: ParetoTail) -> tuple[tuple[float, float], ...]:
    """The map's knots: comparison score and verification score, both rising, from -1 to 1."""
    found = [(-1.0, _LOWEST_SCORE)]
    for score in np.arange(_LOWEST_SCORE + _KNOT_STEP, 1 + _KNOT_STEP / 2, _KNOT_STEP):
        fmr = fmr_at(float(score))
        cosine = tail.cosine_at(fmr) if fmr <= tail.start_fmr else pairs.cosine_at(fmr)
        if found[-1][0] + 1e-6 < cosine < 1:
            found.append((round(float(cosine), 6), round(float(score), 6)))
    return (*found, (1.0, 1.0))


def _embeddings(args: argparse.Namespace) -> tuple[Floats, list[str], int, tuple[str, str]]:
    """Embeddings of all photos with a face, their identities, failures to acquire, and the networks' hashes."""
    cv2.setNumThreads(1)
    networks = load_networks(load_config(args.config).inference)
    photos = labelled_photos(args.photos)
    recogniser = make_recogniser(networks)
    crops = list(face_crops([photo.path for photo in photos], make_detector(networks), args.threads))
    known = [(photo.identity, crop) for photo, crop in zip(photos, crops, strict=True) if crop is not None]
    say(f"embedding {len(known)} faces, {len(photos) - len(known)} failures to acquire")
    rows = [
        portrait.embedding
        for start in range(0, len(known), _BATCH)
        for portrait in recogniser.embed([crop for _, crop in known[start : start + _BATCH]])
    ]
    hashes = (networks.detection.model_hash, networks.recognition.model_hash)
    return np.stack(rows), [identity for identity, _ in known], len(photos) - len(known), hashes


def measure(
    embeddings: Floats, identities: Labels, seed: int
) -> tuple[PairScores, tuple[tuple[float, float], ...], tuple[ErrorRate, ...]]:
    """All that a calibration says of a set's embeddings.

    Args:
        embeddings: float32 (n, d), rows of length 1.
        identities: intp (n,).
        seed: of the bootstrap.

    Returns:
        Scores of all pairs, the map's knots, and the error rates at the contract's thresholds.
    """
    rough = pair_scores(embeddings, identities, 0)
    pairs = pair_scores(embeddings, identities, max(2, round(_TAIL_START_FMR * rough.non_mated_count)))
    table = knots(pairs, fit_tail(pairs.tail, len(pairs.tail) / pairs.non_mated_count))
    cosines = np.interp(THRESHOLDS, [score for _, score in table], [cosine for cosine, _ in table])
    intervals = fmr_intervals(embeddings, identities, cosines, seed)
    return pairs, table, tuple(_rates(pairs, cosines, intervals))


def _rates(pairs: PairScores, cosines: Doubles, intervals: list[tuple[float, float]]) -> list[ErrorRate]:
    return [
        ErrorRate(
            threshold=threshold,
            cosine=round(float(cosine), 6),
            fmr=pairs.fmr(cosine),
            fmr_interval=interval,
            fnmr=round(pairs.fnmr(cosine, once=False), 6),
            fnmr_one_pair=round(pairs.fnmr(cosine, once=True), 6),
            extrapolated=fmr_at(threshold) * pairs.non_mated_count < _COUNTED_MIN,
        )
        for threshold, cosine, interval in zip(THRESHOLDS, cosines, intervals, strict=True)
    ]


def run(args: argparse.Namespace) -> int:
    """Measure, write the calibration, and read it back as the daemon would."""
    embeddings, names, failures, hashes = _embeddings(args)
    _, identities = np.unique(names, return_inverse=True)
    say(f"comparing all pairs of {len(embeddings)} faces")
    pairs, table, rates = measure(embeddings, identities, args.seed)
    record = CalibrationRecord(
        detection=hashes[0],
        recognition=hashes[1],
        tool=f"fvctl calibrate {__version__}",
        made_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=DataSet(
            name=args.name,
            identities=len(set(names)),
            photos=len(names),
            failures_to_acquire=failures,
            mated_pairs=len(pairs.mated),
            non_mated_pairs=pairs.non_mated_count,
        ),
        error_rates=rates,
        knots=table,
    )
    write_calibration(args.out, record)
    show_rows([_row(rate) for rate in load_calibration(args.out, *hashes).record.error_rates], args.json)
    return OK


def write_calibration(path: Path, record: CalibrationRecord) -> Calibration:
    """The record as a file, whole or not at all."""
    plain = dataclasses.asdict(record)
    plain["error_rates"] = [{**rate, "fmr_interval": list(rate["fmr_interval"])} for rate in plain["error_rates"]]
    plain["knots"] = [list(knot) for knot in plain["knots"]]
    making = path.with_suffix(".making")
    making.write_text(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None), "utf-8")
    making.replace(path)
    return Calibration(record)


def _row(rate: ErrorRate) -> dict[str, object]:
    low, high = rate.fmr_interval
    return {
        "threshold": rate.threshold,
        "declared FMR": f"{fmr_at(rate.threshold):.0e}",
        "measured FMR": f"{rate.fmr:.2e}",
        "95 % interval": f"{low:.2e} to {high:.2e}",
        "FNMR": f"{rate.fnmr:.2%}",
        "FNMR, one pair": f"{rate.fnmr_one_pair:.2%}",
        "cosine": rate.cosine,
        "extrapolated": "yes" if rate.extrapolated else "no",
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity")
    parser.add_argument("--name", required=True, help="name of the set, for the record")
    parser.add_argument("--out", type=Path, required=True, help="file to write, usually calibration.yaml")
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap")
    parser.add_argument("--threads", type=int, default=2)
