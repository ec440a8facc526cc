"""Latency against offered load, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tools.benchmark.figures import Round, percentile
from tools.whole_file import write_whole

_SHARES = {0.5: "#0b6e4f", 0.95: "#c77d0a", 0.99: "#a4243b"}
"""Percentile to colour."""


def write_plot(path: Path, opened: Mapping[float, Round], saturated: float) -> None:
    """Write the plot, whole or not at all.

    Args:
        path: the SVG file.
        opened: rounds by offered load, in parts of the saturated rate.
        saturated: verifications per second when as much is asked as the daemon can answer.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    offered = [part * saturated for part in opened]
    for share, colour in _SHARES.items():
        latencies_ms = [percentile(found.latencies_ms, share) for found in opened.values()]
        axes.plot(offered, latencies_ms, marker="o", color=colour, label=f"p{share * 100:.0f}")
    refused = np.array([len(found.refused) / max(1, len(found.done)) for found in opened.values()])
    for place, share in zip(offered, refused, strict=True):
        if share:
            axes.text(
                place, 1.01, f"{share:.0%} refused", transform=axes.get_xaxis_transform(), ha="center", fontsize=8
            )
    axes.axvline(saturated, color="#555555", linestyle=":", label="saturated")
    axes.set_xlabel("offered verifications per second, arrivals at random")
    axes.set_ylabel("latency from when it was due, ms")
    axes.set_yscale("log")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_whole(path, buffer.getvalue())
