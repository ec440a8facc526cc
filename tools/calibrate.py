"""`fvctl calibrate`: measures what comparison scores mean, on all pairs of a labelled folder or on a pair list.

Writes `calibration.yaml`: the map from comparison score to verification score, so that a threshold t on the latter
has the false match rate 10^(3 - 10 t); false match and false non-match rates at the contract's thresholds, with
intervals; counts; and the hashes of the networks it was measured with. An interrupted run goes on where it was.

With `--check FILE` nothing is written: an existing calibration is measured on another set, and the exit code is 1 where
a point of the table is off by more than the allowed factor.

    fvctl calibrate PHOTOS --name "our cameras" --out calibration.yaml --report report.html
    fvctl calibrate PHOTOS --name "other people" --check calibration.yaml
"""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from pathlib import Path

import yaml

from daemon import __version__
from daemon.config import load_config
from daemon.score.calibration import CalibrationRecord, DataSet, ErrorRate, load_calibration
from tools.console import NEEDS_DOING, OK, say, show_rows
from tools.error_rates import best_accuracy
from tools.extraction import labelled_photos, listed_pairs
from tools.mapping import (
    Evidence,
    all_pairs,
    counted_to,
    declared_fmr,
    fit_map,
    only_listed,
    rates_at,
    threshold_cosines,
)
from tools.measurement import Measured, measure
from tools.report import write_report
from tools.whole_file import write_whole

_ALLOWED_FACTORS = {0.4: 1.5, 0.5: 1.5, 0.6: 1.5, 0.7: 1.5, 0.8: 2.0, 0.9: 3.0}
"""How far a measured false match rate may be from the declared one, by threshold: fewer pairs, wider."""


def run(args: argparse.Namespace) -> int:
    """Measure and write, or check."""
    photos = labelled_photos(args.photos)
    pairs = listed_pairs(args.pairs, args.photos) if args.pairs else None
    settings = load_config(args.config).inference
    if pairs is not None:
        named = {path for pair in pairs for path in (pair.first, pair.second)}
        photos = [photo for photo in photos if photo.path in named]
    measured = measure(photos, settings, args.work or settings.engines.parent / "measured", args.threads)
    say(f"{len(measured.photos)} faces, {len(measured.failures)} failures to acquire; comparing pairs")
    evidence = all_pairs(measured, args.seed) if pairs is None else only_listed(measured, pairs, args.seed)
    return _check(args, measured, evidence) if args.check else _write(args, measured, evidence)


def _write(args: argparse.Namespace, measured: Measured, evidence: Evidence) -> int:
    knots = fit_map(evidence.pairs)
    record = CalibrationRecord(
        detection=measured.hashes[0],
        recognition=measured.hashes[1],
        tool=f"fvctl calibrate {__version__}",
        made_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=_data_set(args.name, measured, evidence),
        error_rates=rates_at(evidence, threshold_cosines(knots)),
        counted_to=counted_to(evidence.pairs),
        knots=knots,
    )
    write_calibration(args.out, record)
    load_calibration(args.out, *measured.hashes)
    if args.report:
        write_report(args.report, record, measured, evidence)
    _show(record, args.json)
    return OK


def _check(args: argparse.Namespace, measured: Measured, evidence: Evidence) -> int:
    existing = load_calibration(args.check, *measured.hashes).record
    rates = rates_at(evidence, threshold_cosines(existing.knots))
    record = dataclasses.replace(existing, data=_data_set(args.name, measured, evidence), error_rates=rates)
    if args.report:
        write_report(args.report, record, measured, evidence)
    _show(record, args.json)
    if args.pairs:
        accuracy, cosine = best_accuracy(evidence.pairs)
        say(f"accuracy {accuracy:.2%} at the best comparison score, {cosine:.3f}")
    return NEEDS_DOING if any(_verdict(rate) == "off" for rate in rates) else OK


def _data_set(name: str, measured: Measured, evidence: Evidence) -> DataSet:
    return DataSet(
        name=name,
        identities=len({photo.identity for photo in measured.photos}),
        photos=len(measured.photos),
        failures_to_acquire=len(measured.failures),
        mated_pairs=len(evidence.pairs.mated),
        non_mated_pairs=evidence.pairs.non_mated_count,
    )


def write_calibration(path: Path, record: CalibrationRecord) -> None:
    """The record as a file, whole or not at all."""
    plain = dataclasses.asdict(record)
    plain["error_rates"] = [{**rate, "fmr_interval": list(rate["fmr_interval"])} for rate in plain["error_rates"]]
    plain["knots"] = [list(knot) for knot in plain["knots"]]
    write_whole(path, yaml.safe_dump(plain, sort_keys=False, default_flow_style=None).encode())


def _verdict(rate: ErrorRate) -> str:
    if rate.extrapolated:
        return "too few pairs"
    declared, factor = declared_fmr(rate.threshold), _ALLOWED_FACTORS[rate.threshold]
    return "holds" if declared / factor <= rate.fmr <= declared * factor else "off"


def _show(record: CalibrationRecord, as_json: bool) -> None:
    rows = []
    for rate in record.error_rates:
        low, high = rate.fmr_interval
        rows.append(
            {
                "threshold": rate.threshold,
                "declared_fmr": f"{declared_fmr(rate.threshold):.0e}",
                "measured_fmr": f"{rate.fmr:.2e}",
                "interval_95": f"{low:.2e} to {high:.2e}",
                "verdict": _verdict(rate),
                "fnmr": f"{rate.fnmr:.2%}",
                "fnmr_one_pair": f"{rate.fnmr_one_pair:.2%}",
                "cosine": rate.cosine,
            }
        )
    show_rows(rows, as_json)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("photos", type=Path, help="folder with one folder per identity, or with an index.csv")
    parser.add_argument("--name", required=True, help="name of the set, for the record")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="file to write, usually calibration.yaml")
    what.add_argument("--check", type=Path, help="calibration to measure instead of making one")
    parser.add_argument("--pairs", type=Path, help="CSV with columns mated, a, b: compare these pairs only")
    parser.add_argument("--report", type=Path, help="HTML file to write, with plots")
    parser.add_argument("--work", type=Path, help="folder that keeps embeddings (default: beside the engines)")
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap")
    parser.add_argument("--threads", type=int, default=2)
