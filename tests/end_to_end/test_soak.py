"""A short soak: `python -m tests.soak` is the long one."""

from __future__ import annotations

from tests import soak
from tests.end_to_end.conftest import Start

_REQUESTS, _KILL_EVERY = 600, 250


def test_each_answer_is_its_own_while_workers_are_killed(start: Start, samples: dict[str, bytes]) -> None:
    daemon = start("soak")
    terminals = soak.Terminals(daemon.port, soak.bodies(daemon, samples))
    seen = soak.run_with_kills(daemon, terminals, _REQUESTS, _KILL_EVERY)
    assert len(seen.kills) == 2
    assert seen.wrong() == []
    assert seen.lost() == [], "only requests that were on their way to a killed worker may be lost"
    assert len(seen.back_s()) == 2
    assert sum(one.told is not None and one.told[0] == 1000 for one in seen.seen) > _REQUESTS // 3
