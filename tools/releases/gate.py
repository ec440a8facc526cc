"""Whether a release may stay: it is ready in time, computes what it must, is fast enough, and does not fall over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from daemon.errors import ReleaseRefused
from tools.releases.manifest import Proof
from tools.releases.units import Units

_LOOK_EVERY_S = 0.5
_REMEDY = "The release before serves again. Send fvctl release history to who made this one."


def pass_gate(proof: Proof, units: Units, prove: Callable[[], float], ask: Callable[[Sequence[str]], None]) -> float:
    """Watch a release that was just started.

    Args:
        proof: what it must show.
        units: the service.
        prove: lets it compute known answers; milliseconds of one comparison.
        ask: has fvctl carry out a command, which must end well.

    Returns:
        Milliseconds of one comparison.

    Raises:
        ReleaseRefused: it did not show it.
    """
    before = units.restarts()
    for command in proof.commands:
        ask(command)
    comparison_ms = prove()
    if comparison_ms > proof.comparison_ms:
        raise ReleaseRefused(
            f"a comparison takes {comparison_ms:.0f} ms, its manifest allows {proof.comparison_ms:.0f} ms", _REMEDY
        )
    until = time.monotonic() + proof.watched_s
    while True:
        if units.restarts() != before or not units.is_serving():
            raise ReleaseRefused(f"it did not serve for {proof.watched_s:g} s without a restart", _REMEDY)
        if time.monotonic() >= until:
            return comparison_ms
        time.sleep(min(_LOOK_EVERY_S, proof.watched_s))
