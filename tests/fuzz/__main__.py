"""A long run: `python -m tests.fuzz --count 100000 --seed 1`. Exit status 0 where nothing went wrong."""

from __future__ import annotations

import argparse
import sys
import time

from daemon.app import make_decoder
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey
from tests.fuzz.campaign import Campaign, Outcome
from tools.extraction import LIMITS


def main() -> int:
    """Run and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    sealed_format = LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode()))
    began = time.perf_counter()
    outcome = Campaign(sealed_format, make_decoder(LIMITS)).run(asked.seed, asked.count, asked.threads)
    _print(outcome, time.perf_counter() - began)
    return 1 if outcome.faults or outcome.gave_up else 0


def _print(outcome: Outcome, took_s: float) -> None:
    sys.stdout.write(f"{outcome.codes.total()} photos in {took_s:.0f} s, codes {dict(sorted(outcome.codes.items()))}\n")
    sys.stdout.write(f"faults {outcome.faults}\ndecoders ended {outcome.gave_up}\n")
    sys.stdout.writelines(f"slowest {seconds:.3f} s: {name}\n" for seconds, name in outcome.slowest[:10])
    steps = outcome.resident_mb[:: max(1, len(outcome.resident_mb) // 10)]
    sys.stdout.write(f"resident MB, this process and the decoders: {steps}\n")


if __name__ == "__main__":
    raise SystemExit(main())
