"""What a run found, as tables: what was measured, its ratios to OpenCV, and where a request's time goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tools.benchmark.figures import (
    Ratio,
    Round,
    cpu_ms,
    mean_rate,
    median_ms,
    part_medians_ms,
    percentile,
    pooled_ms,
    ratio,
)
from tools.benchmark.ours import ENGINE_PART
from tools.benchmark.race import (
    ENGINES_MANY,
    ENGINES_ONE,
    HALF_LOAD,
    HTTP_MANY,
    HTTP_ONE,
    OPENCV_FULL,
    OPENCV_SMALL,
    OPENCV_WAYS,
    OVERLOAD,
    Measured,
)
from tools.console import show, show_rows

Row = dict[str, Any]


class Table(NamedTuple):
    """A title and rows of the same fields."""

    title: str
    rows: Sequence[Row]


def best_opencv(rounds: Mapping[str, Sequence[Round]], name: str, quantity: Callable[[Sequence[Round]], float]) -> str:
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
            "per second": f"{mean_rate(rounds):.1f}",
            **_percentiles(rounds),
            "processor ms each": f"{cpu_ms(rounds):.0f}",
        }
        for name, rounds in measured.rounds.items()
    ]
    return Table("Contenders, in turns", rows)


def _percentiles(rounds: Sequence[Round]) -> Row:
    latencies_ms = pooled_ms(rounds)
    return {f"p{share * 100:.0f} ms": f"{percentile(latencies_ms, share):.1f}" for share in (0.5, 0.95, 0.99)}


def ratio_table(measured: Measured, draw: np.random.Generator) -> Table:
    """Each figure that was promised, and what is promised."""
    return Table("Ratios, with 95 % intervals", [*_against_opencv(measured, draw), *_shares(measured, draw)])


def _against_opencv(measured: Measured, draw: np.random.Generator) -> list[Row]:
    rounds, rows = measured.rounds, []
    for name, least, most in ((OPENCV_FULL, "at least 3", "at most 0.4"), (OPENCV_SMALL, "", "")):
        best = best_opencv(rounds, name, mean_rate)
        rate = ratio(mean_rate, rounds[HTTP_MANY], rounds[best], draw)
        rows.append(_row(f"verifications per second over HTTP, saturated / {best}", rate, least))
        best = best_opencv(rounds, name, median_ms)
        rows.append(
            _row(
                f"one client's median over HTTP / {best}", ratio(median_ms, rounds[HTTP_ONE], rounds[best], draw), most
            )
        )
        best = best_opencv(rounds, name, mean_rate)
        rows.append(
            _row(f"processor time over HTTP, saturated / {best}", ratio(cpu_ms, rounds[HTTP_MANY], rounds[best], draw))
        )
    return rows


def _shares(measured: Measured, draw: np.random.Generator) -> list[Row]:
    rounds, pair = measured.rounds, measured.split_pair
    one, engines = ([_only(each, pair) for each in rounds[name]] for name in (HTTP_ONE, ENGINES_ONE))
    alone = ratio(median_ms, engines, one, draw)
    # The bare engines do more per second: by so much the rest holds up the daemon when all cores are busy.
    busy = ratio(mean_rate, rounds[HTTP_MANY], rounds[ENGINES_MANY], draw)
    work = ratio(cpu_ms, rounds[ENGINES_MANY], rounds[HTTP_MANY], draw)
    return [
        _row("not engine, of one client's median, pair nearest 300 kB", _rest(alone), "at most 0.35"),
        _row("not engine, of the time at saturation", _rest(busy)),
        _row("not engine, of processor time at saturation", _rest(work)),
    ]


def _rest(share: Ratio) -> Ratio:
    return Ratio(1 - share.value, 1 - share.high, 1 - share.low)


def _only(found: Round, pair: int) -> Round:
    return found._replace(done=[one for one in found.done if one.pair == pair])


def _row(what: str, value: object, wanted: str = "") -> Row:
    return {"figure": what, "measured": str(value), "promised": wanted}


def open_table(measured: Measured) -> Table:
    """The daemon under loads of its own: what was answered, refused and lost."""
    return Table(
        "Open loop, arrivals at random, latency from when each was due",
        [_open_row(part, found) for part, found in measured.opened.items()],
    )


def _open_row(part: float, found: Round) -> Row:
    refusals_ms = np.array([one.latency_ms for one in found.refused], np.float64)
    failed = len(found.done) - len(found.answered) - len(found.refused)
    return {
        "offered": f"{part:.0%}",
        "requests": len(found.done),
        "answered /s": f"{found.throughput:.1f}",
        **_percentiles([found]),
        "most ms": f"{percentile(found.latencies_ms, 1):.0f}",
        "refused": len(found.refused),
        "in ms (p50, p99)": f"{percentile(refusals_ms, 0.5):.0f}, {percentile(refusals_ms, 0.99):.0f}"
        if found.refused
        else "",
        "failed": failed,
        "asking, of a core": f"{found.load_cpu_s / found.length_s:.0%}" if found.done else "",
    }


def promise_table(measured: Measured) -> Table:
    """What is promised of loads, start and memory."""
    below, above = measured.opened[HALF_LOAD], measured.opened[OVERLOAD]
    one_ms, saturated = median_ms(measured.rounds[HTTP_ONE]), mean_rate(measured.rounds[HTTP_MANY])
    p99_ms, memory = percentile(below.latencies_ms, 0.99), measured.memory
    failed = len(below.done) - len(below.answered)
    pss = "not readable by this account" if memory.pss_mb is None else f"{memory.pss_mb:.0f} MB"
    return Table(
        "Loads, start, memory",
        [
            _row(f"p99 at {HALF_LOAD:.0%} of saturation / one client's median", f"{p99_ms / one_ms:.2f}", "at most 3"),
            _row(f"failures at {HALF_LOAD:.0%} of saturation", f"{failed} of {len(below.done)}", "0"),
            _row(
                f"answered per second at {OVERLOAD:.0%} / saturated", f"{above.throughput / saturated:.2f}", "about 1"
            ),
            _row("start to ready, median", f"{np.median(measured.ready_s):.2f} s", "at most 3 s"),
            _row("resident memory (PSS) of all processes", pss, "at most 500 MB"),
            _row("resident memory (RSS) of the largest process", f"{memory.rss_mb:.0f} MB", ""),
            _row("the latter / OpenCV's process", f"{memory.rss_mb / measured.opencv_memory.rss_mb:.2f}", ""),
        ],
    )


def step_table(measured: Measured) -> Table:
    """Where one client's time goes for the pair nearest 300 kB.

    Steps are as the daemon says in Server-Timing, medians; what the engines take of them was measured in process.
    """
    one = [_only(found, measured.split_pair) for found in measured.rounds[HTTP_ONE]]
    steps, whole_ms = part_medians_ms(one), median_ms(one)
    inside = {name: float(np.median([parts[name] for parts in measured.parts])) for name in measured.parts[0]}
    rest_ms = whole_ms - sum(steps.values())
    rows = [_step_row(name, took_ms, whole_ms, inside.get(ENGINE_PART + name, 0.0)) for name, took_ms in steps.items()]
    engines_ms = sum(took_ms for name, took_ms in inside.items() if name.startswith(ENGINE_PART))
    rows.append(_step_row("rest: HTTP, form, waiting", rest_ms, whole_ms, 0.0))
    rows.append(_step_row("whole", whole_ms, whole_ms, engines_ms))
    return Table("Steps of one client's verification, pair nearest 300 kB", rows)


def _step_row(name: str, took_ms: float, whole_ms: float, engine_ms: float) -> Row:
    return {
        "step": name,
        "ms": f"{took_ms:.1f}",
        "share": f"{took_ms / whole_ms:.0%}",
        "of it engine ms": f"{engine_ms:.1f}" if engine_ms else "",
    }


def all_tables(measured: Measured) -> list[Table]:
    """Everything, in the order in which it is read."""
    draw = np.random.default_rng()
    return [
        speed_table(measured),
        ratio_table(measured, draw),
        promise_table(measured),
        step_table(measured),
        open_table(measured),
    ]


def show_tables(facts: Row, tables: Sequence[Table], as_json: bool, as_markdown: bool) -> None:
    """Print what it was measured on, and the results: as text unless asked otherwise."""
    if as_json:
        show({**facts, **{table.title: table.rows for table in tables}}, as_json=True)
    elif as_markdown:
        sys.stdout.write("\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n")
        sys.stdout.write("".join(f"\n**{table.title}**\n\n{markdown(table.rows)}" for table in tables))
    else:
        show(facts, as_json=False)
        for table in tables:
            sys.stdout.write(f"\n{table.title}\n")
            show_rows(table.rows, as_json=False)


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
