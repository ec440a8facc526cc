"""What a calibration measured, as one HTML file that needs nothing else: plots, tables, and pairs to look at.

Draws with matplotlib, as `benchmark/plot.py` does. Photos are named, never shown.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daemon.records import Doubles
from daemon.score.calibration import Calibration, CalibrationRecord
from tools.error_rates import PairScores, extreme_pairs
from tools.mapping import Evidence, declared_fmr
from tools.measurement import Measured
from tools.whole_file import write_whole

_WORST = 20
"""Pairs and failures that are named."""

_MATED, _NON_MATED, _DECLARED = "#0b6e4f", "#a4243b", "#555555"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Calibration: {title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #ddd; }}
th:first-child, td:first-child {{ text-align: left; }} td {{ white-space: nowrap; }}
figure {{ margin: 1.5rem 0; }} figure svg {{ max-width: 100%; height: auto; }} figcaption {{ color: #555; }}
</style>
</head>
<body>
<h1>Calibration: {title}</h1>
{body}
</body>
</html>
"""


def write_report(path: Path, record: CalibrationRecord, measured: Measured, evidence: Evidence) -> None:
    """Write the report, whole or not at all.

    Args:
        path: the HTML file.
        record: the calibration, with rates as measured on this set.
        measured: the set.
        evidence: scores of its pairs.
    """
    plots = (
        ("Scores", "Comparison scores of mated and non-mated pairs, as shares; upright lines are thresholds.", _scores),
        ("Trade-off", "FNMR against FMR, both on logarithmic axes (detection error trade-off).", _trade_off),
        ("Promise", "FMR declared by the score table and FMR measured, with 95 % intervals.", _promise),
        ("Misses", "Share of mated pairs below each threshold.", _misses),
    )
    parts = [_facts(record), _rates(record)]
    for title, caption, draw in plots:
        plot = _svg(draw, record, evidence.pairs)
        parts.append(f"<h2>{title}</h2><figure>{plot}<figcaption>{html.escape(caption)}</figcaption></figure>")
    parts += [_groups(record, measured), _worst(record, measured), _failures(measured)]
    write_whole(path, _PAGE.format(title=html.escape(record.data.name), body="\n".join(parts)).encode())


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def _cells(tag: str, values: Sequence[object]) -> str:
        return "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)

    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def _facts(record: CalibrationRecord) -> str:
    data = record.data
    rows = [
        ("identities", f"{data.identities:,}"),
        ("photos with a face", f"{data.photos:,}"),
        ("failures to acquire", f"{data.failures_to_acquire:,} of {data.photos + data.failures_to_acquire:,}"),
        ("mated pairs", f"{data.mated_pairs:,}"),
        ("non-mated pairs", f"{data.non_mated_pairs:,}"),
        ("detection network", record.detection[:16]),
        ("recognition network", record.recognition[:16]),
        ("made", f"{record.made_utc} by {record.tool}"),
    ]
    return _table(("what", "value"), rows)


def _rates(record: CalibrationRecord) -> str:
    rows = [
        (
            rate.threshold,
            f"{declared_fmr(rate.threshold):.0e}",
            f"{rate.fmr:.2e}",
            f"{rate.fmr_interval[0]:.2e} to {rate.fmr_interval[1]:.2e}",
            f"{rate.fnmr:.2%}",
            f"{rate.fnmr_one_pair:.2%}",
            "extrapolated" if rate.extrapolated else "counted",
        )
        for rate in record.error_rates
    ]
    head = ("threshold", "declared FMR", "measured FMR", "95 % interval", "FNMR", "FNMR, one pair each", "evidence")
    return "<h2>Thresholds</h2>" + _table(head, rows)


def _svg(
    draw: Callable[[Any, CalibrationRecord, PairScores], None], record: CalibrationRecord, pairs: PairScores
) -> str:
    """A plot as an SVG element."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    draw(axes, record, pairs)
    axes.grid(alpha=0.3)
    drawn = io.StringIO()
    FigureCanvasSVG(figure).print_figure(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _scores(axes: Any, record: CalibrationRecord, pairs: PairScores) -> None:  # noqa: ANN401 - matplotlib's Axes
    edges = np.linspace(-1, 1, 201)
    non_mated = pairs.non_mated.reshape(200, -1).sum(axis=1) / max(1, pairs.non_mated_count)
    mated = np.histogram(pairs.mated, edges)[0] / max(1, len(pairs.mated))
    axes.stairs(non_mated, edges, fill=True, alpha=0.5, color=_NON_MATED, label="non-mated")
    axes.stairs(mated, edges, fill=True, alpha=0.5, color=_MATED, label="mated")
    for rate in record.error_rates:
        axes.axvline(rate.cosine, color=_DECLARED, linewidth=0.7)
        axes.text(rate.cosine, axes.get_ylim()[1] * 0.97, f" {rate.threshold}", fontsize=8, va="top")
    axes.set(xlabel="comparison score", ylabel="share of pairs", xlim=(-0.4, 1))
    axes.legend()


def _trade_off(axes: Any, _record: CalibrationRecord, pairs: PairScores) -> None:  # noqa: ANN401
    cosines = np.linspace(-0.2, 0.9, 400)
    fmr = np.array([pairs.fmr(cosine) for cosine in cosines])
    for once, label in ((False, "all mated pairs"), (True, "one mated pair per identity")):
        fnmr = np.array([pairs.fnmr(cosine, once) for cosine in cosines])
        least = 0.5 / max(1, len(pairs.mated_once if once else pairs.mated))  # less than one pair: no error was seen
        axes.plot(fmr[fmr > 0], np.maximum(fnmr, least)[fmr > 0], label=label, color=_DECLARED if once else _MATED)
    axes.set(xscale="log", yscale="log", xlabel="FMR", ylabel="FNMR")
    axes.legend()


def _promise(axes: Any, record: CalibrationRecord, _pairs: PairScores) -> None:  # noqa: ANN401
    thresholds = np.array([rate.threshold for rate in record.error_rates])
    measured = np.array([rate.fmr for rate in record.error_rates])
    low, high = np.array([rate.fmr_interval for rate in record.error_rates]).T
    axes.plot(thresholds, [declared_fmr(threshold) for threshold in thresholds], color=_DECLARED, label="declared")
    seen = measured > 0
    spread = np.clip([measured - low, high - measured], 0, None)[:, seen]
    axes.errorbar(thresholds[seen], measured[seen], spread, fmt="o", capsize=4, color=_NON_MATED, label="measured")
    axes.set(yscale="log", xlabel="threshold", ylabel="FMR")
    axes.legend()


def _misses(axes: Any, record: CalibrationRecord, _pairs: PairScores) -> None:  # noqa: ANN401
    places = np.arange(len(record.error_rates))
    axes.bar(places - 0.2, [100 * rate.fnmr for rate in record.error_rates], 0.4, color=_MATED, label="all mated pairs")
    once = [100 * rate.fnmr_one_pair for rate in record.error_rates]
    axes.bar(places + 0.2, once, 0.4, color=_DECLARED, label="one mated pair per identity")
    axes.set_xticks(places, [str(rate.threshold) for rate in record.error_rates])
    axes.set(xlabel="threshold", ylabel="FNMR, %")
    axes.legend()


def _groups(record: CalibrationRecord, measured: Measured) -> str:
    """Scores inside each group that the set names: is the table as good for everybody?"""
    rows = []
    calibration, identities = Calibration(record), measured.identities
    for name in sorted({name for photo in measured.photos for name in photo.groups}):
        values = np.array([photo.groups.get(name, "") for photo in measured.photos])
        for value in sorted(set(values)):
            inside = np.flatnonzero(values == value)
            first, second = np.triu_indices(len(inside), 1)
            scores = (measured.embeddings[inside] @ measured.embeddings[inside].T)[first, second]
            same = identities[inside][first] == identities[inside][second]
            mated, apart = (_verification(calibration, scores[which]) for which in (same, ~same))
            rows.append((f"{name}: {value}", len(inside), *_summary(mated, low=True), *_summary(apart, low=False)))
    if not rows:
        return ""
    head = ("group", "photos", "mated pairs", "lowest", "median", "non-mated pairs", "highest", "median ")
    return "<h2>Groups</h2><p>Verification scores of pairs inside each group.</p>" + _table(head, rows)


def _verification(calibration: Calibration, cosines: Doubles) -> Doubles:
    return np.array([calibration.score(float(cosine)) for cosine in cosines])


def _summary(scores: Doubles, low: bool) -> tuple[str, str, str]:
    if not len(scores):
        return "0", "", ""
    return f"{len(scores):,}", f"{scores.min() if low else scores.max():.3f}", f"{np.median(scores):.3f}"


def _worst(record: CalibrationRecord, measured: Measured) -> str:
    calibration = Calibration(record)
    mated, apart = extreme_pairs(measured.embeddings, measured.identities, _WORST)
    parts = []
    for title, pairs in (("Mated pairs that score lowest", mated), ("Non-mated pairs that score highest", apart)):
        rows = [
            (
                measured.photos[first].path.name,
                measured.photos[second].path.name,
                f"{calibration.score(float(measured.embeddings[first] @ measured.embeddings[second])):.3f}",
            )
            for first, second in pairs
        ]
        parts.append(f"<h2>{title}</h2>" + _table(("photo one", "photo two", "verification score"), rows))
    return "".join(parts)


def _failures(measured: Measured) -> str:
    rows = [(path.name,) for path in measured.failures[:_WORST]]
    return "<h2>Failures to acquire</h2>" + (_table(("photo",), rows) if rows else "<p>None.</p>")
