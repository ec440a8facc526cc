"""`fvctl bench`: how fast the device is, against OpenCV's own pipeline on the same photos, networks and cores.

    fvctl bench                           the whole run, about ten minutes on a machine that does nothing else
    fvctl bench --photos FOLDER           with one's own photos
    fvctl bench cost                      what photo size and number of clients cost, step by step
    fvctl bench memory --requests 20000   whether memory stays what it is
    fvctl bench opening --rounds 2000     whether the time of a refusal gives its reason away

All but the last start a daemon of their own, with the site's engines and limits, on a free port of loopback. Run them
as root: nobody else may see the memory of the daemon's processes.

A device must not tell a wrong key from a wrong tag, an unknown key id or a key of another terminal: `opening` measures
every reason against every other, for each kind of key. Exit code 1 where two reasons are told apart, or where memory
grows. Timings are noisy: look at the intervals, and measure again on a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from daemon.config import load_config
from tools.benchmark import cost, flatness
from tools.benchmark.figures import mean_rate
from tools.benchmark.machine import Others, machine_facts
from tools.benchmark.photos import Pair, about, folder_pairs, sized_pairs
from tools.benchmark.plot import write_plot
from tools.benchmark.race import ABOVE, BELOW, HTTP_MANY, Plan, measure
from tools.benchmark.site import Cores, bench_site, on_cores
from tools.benchmark.tables import all_tables, show_tables
from tools.console import NEEDS_DOING, OK, actions, progress, show_rows
from tools.key_making import make_key
from tools.opening_times import KINDS, compare_refusals, measure_opening
from tools.samples import sample_photos

_PHOTO_BYTES = 300 * 1024
"""A photo as terminals send it: 0.2 to 0.6 MB."""

_SIZES_KB = (200, 300, 400, 600)
_PAIRS_MAX = 8
_ROUNDS = 500
_SAMPLES = "sample photos of face_recognition 1.3.0, enlarged or reduced, with grain"

_CURVE = (0.3, 0.5, 0.85, 1.0, 1.2)
"""Offered loads of the plot besides those that are always measured, in parts of the saturated rate."""


def _pairs(args: argparse.Namespace) -> tuple[list[Pair], dict[str, object]]:
    """What is compared, and what to say of it."""
    if args.photos:
        pairs, origin = folder_pairs(args.photos, _PAIRS_MAX), str(args.photos)
    else:
        cache = load_config(args.config).inference.engines.parent / "cache"
        pairs = sized_pairs(sample_photos(cache), args.sizes)
        origin = _SAMPLES
    return pairs, {"photos": f"{origin}: {about(pairs)}"}


def _race(args: argparse.Namespace, _config: object) -> int:
    facts = machine_facts(load_config(args.config).inference, args.cores)
    pairs, said = _pairs(args)
    with on_cores(args.cores) as cores, bench_site(args.config) as site:
        plan, others = _plan(args, cores), Others()
        measured = measure(site, pairs, plan)
        said |= {"others meanwhile": f"{others.share():.0%} of the cores"}
    if args.plot:
        write_plot(args.plot, measured.opened, mean_rate(measured.rounds[HTTP_MANY]))
    run = f"{plan.rounds} rounds of {plan.round_s:g} s each after one to warm up, {plan.clients} clients to saturate"
    show_tables({**facts, **said, "run": run}, all_tables(measured), args.json, args.markdown)
    return OK


def _plan(args: argparse.Namespace, cores: Cores) -> Plan:
    return Plan(
        rounds=args.rounds,
        round_s=args.round_seconds,
        clients=args.clients,
        seconds=args.seconds,
        over_seconds=args.over_seconds,
        curve=_CURVE if args.plot else (),
        starts=args.starts,
        cores=cores,
    )


def _cost(args: argparse.Namespace, _config: object) -> int:
    settings = load_config(args.config).inference
    facts = machine_facts(settings, args.cores)
    with on_cores(args.cores) as cores, bench_site(args.config) as site:
        asked = cost.Asked(args.sizes, args.clients, args.seconds, cores)
        cells = cost.measure_cost(site, sample_photos(settings.engines.parent / "cache"), asked)
    show_tables(facts | {"photos": _SAMPLES}, cost.cost_tables(cells), args.json, args.markdown)
    return OK


def _memory(args: argparse.Namespace, _config: object) -> int:
    facts = machine_facts(load_config(args.config).inference, args.cores)
    pairs, said = _pairs(args)
    with on_cores(args.cores) as cores, bench_site(args.config) as site:
        asked = flatness.Long(args.requests, args.clients, cores)
        samples = flatness.watch_memory(site, pairs, asked)
    show_tables(facts | said, flatness.memory_tables(samples), args.json, args.markdown)
    return NEEDS_DOING if flatness.growth(samples)[2] > flatness.GROWTH_MAX else OK


def _opening(args: argparse.Namespace, _config: object) -> int:
    draw = np.random.default_rng()
    measured = measure_opening(lambda kind: make_key(kind).secret, args.bytes, args.rounds)
    timed = list(progress(measured, len(KINDS), "kinds of keys measured"))
    apart = list(itertools.chain.from_iterable(compare_refusals(rows, draw) for rows in timed))
    medians = [
        {"key": row.kind.value, "situation": row.situation, "median_us": round(row.median_us, 1)}
        for row in itertools.chain.from_iterable(timed)
    ]
    compared: list[dict[str, Any]] = [
        {
            "key": row.kind.value,
            "situations": " / ".join(row.situations),
            "t": round(row.t, 2),
            "difference_us": f"{row.low_us:.1f} to {row.high_us:.1f}",
            "told_apart": row.told_apart,
        }
        for row in apart
    ]
    if args.json:
        show_rows([{"medians": medians, "refusals": compared}], as_json=True)
    else:
        show_rows(medians, as_json=False)
        show_rows(compared, as_json=False)
    return NEEDS_DOING if any(row.told_apart for row in apart) else OK


def run(args: argparse.Namespace) -> int:
    """Run one measurement."""
    return int(args.act(args, None))


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(act=_race)
    parser.add_argument("--rounds", type=_above_zero, default=8, help="of each contender (default: 8)")
    parser.add_argument("--round-seconds", type=float, default=4.0, help="of each round (default: 4)")
    parser.add_argument("--clients", type=_above_zero, default=8, help="that saturate the daemon (default: 8)")
    parser.add_argument(
        "--seconds", type=float, default=120.0, help=f"of the open loop at {BELOW * 100:.0f}%% (default: 120)"
    )
    parser.add_argument(
        "--over-seconds", type=float, default=30.0, help=f"of the open loop at {ABOVE * 100:.0f}%% (default: 30)"
    )
    parser.add_argument("--starts", type=_above_zero, default=3, help="how often the start is timed (default: 3)")
    parser.add_argument("--plot", type=Path, help="write latency against offered load to this SVG file")
    _add_photos(parser)
    _add_shared(parser)


def _add_photos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="photos of one's own instead of the samples")
    parser.add_argument(
        "--sizes", type=_above_zero, nargs="+", default=_SIZES_KB, metavar="KB", help="of the sample photos"
    )


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cores", type=_above_zero, default=2, help="that everything measured runs on (default: 2)")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")


def _add_cost(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=_above_zero, nargs="+", default=cost.SIZES_KB, metavar="KB", help="of photos")
    parser.add_argument("--clients", type=_above_zero, nargs="+", default=cost.CLIENTS, metavar="N", help="at once")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement (default: 4)")
    _add_shared(parser)


def _add_memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=_above_zero, default=20_000, help="how many (default: 20,000)")
    parser.add_argument("--clients", type=_above_zero, default=8, help="at once (default: 8)")
    _add_photos(parser)
    _add_shared(parser)


def _above_zero(text: str) -> int:
    """A count.

    Raises:
        ValueError: it is none.
    """
    if int(text) < 1:
        raise ValueError
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    _add_run(parser)
    add = actions(parser, required=False)
    _add_cost(add("cost", _cost, "what photo size and number of clients cost, step by step"))
    _add_memory(add("memory", _memory, "whether memory stays what it is over many requests"))
    opening = add("opening", _opening, "whether the time of a refusal gives its reason away")
    opening.add_argument("--rounds", type=int, default=_ROUNDS, help="how often each situation is measured")
    opening.add_argument("--bytes", type=int, default=_PHOTO_BYTES, help="size of the sealed photo")
