"""What a run found, as tables: what was measured, its ratios to OpenCV, and where a request's time goes.

Rows hold numbers, so that JSON has them; text and Markdown show them as they are.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tools.benchmark.figures import (
    Ratio,
    Round,
    Rounds,
    cpu_ms,
    load_cpu_ms,
    mean_rate,
    median_ms,
    part_medians_ms,
    percentile,
    pooled_ms,
    queued_ms,
    ratio,
)
from tools.benchmark.ours import ENGINE_PART
from tools.benchmark.race import (
    ABOVE,
    BELOW,
    ENGINES_MANY,
    ENGINES_ONE,
    HTTP_MANY,
    HTTP_ONE,
    OPENCV_FULL,
    OPENCV_SMALL,
    OPENCV_WAYS,
    Measured,
)
from tools.console import show, show_rows

Row = dict[str, Any]

_HUNDRED = 100


class Table(NamedTuple):
    """A title and rows of the same fields."""

    title: str
    rows: Sequence[Row]


def shown(value: float) -> float | None:
    """Three digits or so, as far as they say anything; None of no number, which JSON does not have."""
    if math.isnan(value):
        return None
    return round(value) if abs(value) >= _HUNDRED else round(value, 1)


def best_opencv(rounds: Mapping[str, Rounds], name: str, quantity: Callable[[Rounds], float]) -> str:
    """The way of OpenCV that does best: most verifications per second, or the shortest median."""
    ways = [f"{name}, {way}" for way in OPENCV_WAYS]
    if quantity is mean_rate:
        return max(ways, key=lambda way: mean_rate(rounds[way]))
    return min(ways[:-1], key=lambda way: quantity(rounds[way]))


def speed_table(measured: Measured) -> Table:
    """Verifications per second, percentiles and processor time of each contender."""
    rows = [
        {
            "contender": name,
            "per s": shown(mean_rate(rounds)),
            **_percentiles(rounds),
            "processor ms": shown(cpu_ms(rounds)),
            "asking ms": shown(load_cpu_ms(rounds)) if name in (HTTP_ONE, HTTP_MANY) else "",
        }
        for name, rounds in measured.rounds.items()
    ]
    return Table("Contenders in turns; milliseconds of latency, and of processor time for one verification", rows)


def _percentiles(rounds: Rounds) -> Row:
    latencies_ms = pooled_ms(rounds)
    return {f"p{share * 100:.0f}": shown(percentile(latencies_ms, share)) for share in (0.5, 0.95, 0.99)}


class Promise(NamedTuple):
    """What a figure must be.

    Attributes:
        most: whether it may not be above the bound; else not below it.
        bound: inclusive.
    """

    most: bool
    bound: float

    def kept_by(self, value: float) -> bool:
        """Whether a figure is as promised."""
        return value <= self.bound if self.most else value >= self.bound

    def __str__(self) -> str:
        return f"at {'most' if self.most else 'least'} {self.bound:g}"


def _figure(name: str, value: float, promise: Promise | None = None, interval: Ratio | None = None) -> Row:
    return {
        "figure": name,
        "measured": None if math.isnan(value) else round(value, 2 if abs(value) < _HUNDRED else None),
        "95 % interval": f"{interval.low:.2f} to {interval.high:.2f}" if interval else "",
        "promised": str(promise) if promise else "",
        "kept": ("yes" if promise.kept_by(value) else "no") if promise else "",
    }


def figure_table(measured: Measured) -> Table:
    """Each figure that is promised, and those that say why."""
    draw = np.random.default_rng()
    full = _against(measured, OPENCV_FULL, draw, (Promise(False, 3), Promise(True, 0.4)))
    small = _against(measured, OPENCV_SMALL, draw, (None, None))
    return Table("Figures", [*full, *small, *_besides_engines(measured, draw), *_loads(measured), *_device(measured)])


def _against(
    measured: Measured, name: str, draw: np.random.Generator, promises: tuple[Promise | None, Promise | None]
) -> list[Row]:
    rounds = measured.rounds
    quickest, most = best_opencv(rounds, name, median_ms), best_opencv(rounds, name, mean_rate)
    rate = ratio(mean_rate, rounds[HTTP_MANY], rounds[most], draw)
    median = ratio(median_ms, rounds[HTTP_ONE], rounds[quickest], draw)
    work = ratio(cpu_ms, rounds[HTTP_MANY], rounds[most], draw)
    return [
        _figure(f"verifications per second, saturated / {most}", rate.value, promises[0], rate),
        _figure(f"one client's median / {quickest}", median.value, promises[1], median),
        _figure(f"processor time, saturated / {most}", work.value, None, work),
    ]


def _besides_engines(measured: Measured, draw: np.random.Generator) -> list[Row]:
    """What is not engine: form, base64, decryption, decoding, alignment, JSON, and waiting for each other."""
    rounds, pair = measured.rounds, measured.split_pair
    one, engines = ([_only(each, pair) for each in rounds[name]] for name in (HTTP_ONE, ENGINES_ONE))
    alone = _rest(ratio(median_ms, engines, one, draw))
    work = _rest(ratio(cpu_ms, rounds[ENGINES_MANY], rounds[HTTP_MANY], draw))
    return [
        _figure("not engine, of one client's median, photos of 300 kB", alone.value, Promise(True, 0.35), alone),
        _figure("not engine, of processor time, saturated", work.value, None, work),
    ]


def _rest(share: Ratio) -> Ratio:
    return Ratio(1 - share.value, 1 - share.high, 1 - share.low)


def _only(found: Round, pair: int) -> Round:
    return found._replace(done=[one for one in found.done if one.pair == pair])


def _loads(measured: Measured) -> list[Row]:
    below, above = measured.opened[BELOW], measured.opened[ABOVE]
    saturated, median = mean_rate(measured.rounds[HTTP_MANY]), median_ms(measured.rounds[HTTP_ONE])
    queued = percentile(queued_ms(sorted(one.due_s for one in below.done), 1 / saturated), 0.99) / median
    p99 = percentile(below.latencies_ms, 0.99) / median
    failed = len(below.done) - len(below.answered)
    kept_up = above.throughput / saturated
    return [
        _figure(f"p99 at {BELOW:.0%} of saturation / one client's median", p99, Promise(True, 3)),
        _figure("the same with an ideal queue: same arrivals, each takes 1 / saturated rate", queued),
        _figure(f"not answered at {BELOW:.0%} of saturation", failed, Promise(True, 0)),
        _figure(f"verifications per second at {ABOVE:.0%} / saturated", kept_up),
    ]


def _device(measured: Measured) -> list[Row]:
    memory, mb = measured.memory, measured.memory.rss_mb
    shared = (
        [] if memory.pss_mb is None else [_figure("memory of all processes, MB", memory.pss_mb, Promise(True, 500))]
    )
    return [
        _figure("seconds from start to ready, median", float(np.median(measured.ready_s)), Promise(True, 3)),
        *shared,
        _figure("memory of the worker, MB", mb, None if shared else Promise(True, 500)),
        _figure("memory of the worker / OpenCV's process", mb / measured.opencv_memory.rss_mb),
    ]


def open_table(measured: Measured) -> Table:
    """The daemon under loads of its own: what was answered, refused and lost."""
    rows = [_open_row(part, found) for part, found in measured.opened.items()]
    return Table("Open loop: arrivals at random, milliseconds from when each was due", rows)


def _open_row(part: float, found: Round) -> Row:
    refusals_ms = np.array([one.latency_ms for one in found.refused], np.float64)
    return {
        "offered": f"{part:.0%}",
        "requests": len(found.done),
        "answered per s": shown(found.throughput),
        **_percentiles([found]),
        "most": shown(percentile(found.latencies_ms, 1)),
        "refused": len(found.refused),
        "refused after p50": shown(percentile(refusals_ms, 0.5)),
        "p99 of it": shown(percentile(refusals_ms, 0.99)),
        "failed": len(found.done) - len(found.answered) - len(found.refused),
        "asking, of a core": f"{found.load_cpu_s / found.length_s:.1%}" if found.done else None,
    }


def step_table(measured: Measured) -> Table:
    """Where one client's time goes for the pair nearest 300 kB.

    Steps are as the daemon says in Server-Timing, medians; what the engines take of them was measured in process.
    """
    one = [_only(found, measured.split_pair) for found in measured.rounds[HTTP_ONE]]
    steps, whole_ms = part_medians_ms(one), median_ms(one)
    inside = {name: float(np.median([parts[name] for parts in measured.parts])) for name in measured.parts[0]}
    engines = {name: took_ms for name, took_ms in inside.items() if name.startswith(ENGINE_PART)}
    times = {
        **{name: (took_ms, engines.get(ENGINE_PART + name, math.nan)) for name, took_ms in steps.items()},
        "rest: HTTP, form, answer": (whole_ms - sum(steps.values()), math.nan),
        "whole": (whole_ms, sum(engines.values())),
    }
    rows = [
        {"step": name, "ms": shown(took_ms), "share": f"{took_ms / whole_ms:.0%}", "of it engine": shown(engine_ms)}
        for name, (took_ms, engine_ms) in times.items()
    ]
    return Table("Steps of one client's verification, medians, photos of 300 kB", rows)


def all_tables(measured: Measured) -> list[Table]:
    """Everything, in the order in which it is read."""
    return [figure_table(measured), step_table(measured), speed_table(measured), open_table(measured)]


def show_tables(facts: Row, tables: Sequence[Table], as_json: bool, as_markdown: bool) -> None:
    """Print what it was measured on, and the results: as text unless asked otherwise."""
    if as_json:
        show({**facts, **{table.title: table.rows for table in tables}}, as_json=True)
    elif as_markdown:
        sys.stdout.write("\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n")
        sys.stdout.write("".join(f"\n{table.title}:\n\n{markdown(table.rows)}" for table in tables))
    else:
        show(facts, as_json=False)
        for table in tables:
            sys.stdout.write(f"\n{table.title}:\n")
            show_rows([{name: _text(value) for name, value in row.items()} for row in table.rows], as_json=False)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([_text(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
