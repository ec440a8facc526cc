"""`fvctl bench opening`: whether the time of a refusal says why a sealed photo did not open.

    fvctl bench opening --rounds 2000     every reason against every other, for each kind of key

A device must not tell a wrong key from a wrong tag, an unknown key id or a key of another terminal. Exit code 1 where
two reasons are told apart. Timings are noisy: look at the interval, and measure again on a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np

from tools.console import NEEDS_DOING, OK, actions, progress, show_rows
from tools.key_making import make_key
from tools.opening_times import KINDS, compare_refusals, measure_opening

_PHOTO_BYTES = 300 * 1024
"""A photo as terminals send it: 0.2 to 0.6 MB."""

_ROUNDS = 500


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
    """Run one measurement; none needs the configuration."""
    return int(args.act(args, None))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    add = actions(parser)
    opening = add("opening", _opening, "whether the time of a refusal gives its reason away")
    opening.add_argument("--rounds", type=int, default=_ROUNDS, help="how often each situation is measured")
    opening.add_argument("--bytes", type=int, default=_PHOTO_BYTES, help="size of the sealed photo")
