"""Whether the daemon's memory stays what it is, however much it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from daemon.errors import EngineRefused
from tools.benchmark import load
from tools.benchmark.figures import Round
from tools.benchmark.photos import Pair
from tools.benchmark.processes import Memory, tree_memory
from tools.benchmark.site import BenchSite, Cores, sealed_pairs, started
from tools.benchmark.subject import subject
from tools.benchmark.tables import Table
from tools.console import say

WARM = 2000
"""After so many requests every thread and every size has been used."""

GROWTH_MAX = 0.02
_LOOK_S = 20.0
_SHOWN = 12


class Long(NamedTuple):
    """How much is asked.

    Attributes:
        requests: at least so many.
        clients: at the same time.
        cores: where it runs.
    """

    requests: int
    clients: int
    cores: Cores


class Sample(NamedTuple):
    """Memory after so many requests, while none is on its way."""

    requests: int
    memory: Memory

    @property
    def mb(self) -> float:
        """All processes, shared memory once; the largest process where this account may not see the others."""
        return self.memory.rss_mb if self.memory.pss_mb is None else self.memory.pss_mb


def watch_memory(site: BenchSite, pairs: Sequence[Pair], asked: Long) -> list[Sample]:
    """Memory now and then, the last time after all requests.

    Raises:
        DeviceError: the daemon does not start, or does not compare the photos.
    """
    with (
        started(site) as (daemon, _),
        subject(load.serve, site.port, sealed_pairs(site, list(pairs)), asked.cores.asking) as asking,
    ):
        samples = [Sample(0, tree_memory(daemon.pid))]
        while samples[-1].requests < asked.requests:
            found: Round = asking.ask(load.Closed(asked.clients, _LOOK_S, asked.requests - samples[-1].requests))
            if len(found.answered) < len(found.done):
                raise EngineRefused("the daemon did not compare every pair", "Look at its journal; ask fewer at once.")
            samples.append(Sample(samples[-1].requests + len(found.done), tree_memory(daemon.pid)))
            say(f"{samples[-1].requests} of {asked.requests} requests, {samples[-1].mb:.1f} MB")
    return samples


def growth(samples: Sequence[Sample]) -> tuple[Sample, Sample, float]:
    """The first sample that is warm, the last one, and by which share memory grew between them.

    Memory goes up and down by 30 MB, as what was freed is given back every 10 seconds: compared are the medians of the
    first quarter of the warm samples and of the last. Fewer requests than ten times WARM are warm after a tenth.
    """
    least = min(WARM, samples[-1].requests // 10)
    warm = [sample for sample in samples[1:] if sample.requests >= least]
    quarter = max(1, len(warm) // 4)
    before, after = (median(sample.mb for sample in part) for part in (warm[:quarter], warm[-quarter:]))
    return warm[0], warm[-1], after / before - 1


def memory_tables(samples: Sequence[Sample]) -> list[Table]:
    """Memory by requests, about a dozen samples, and the growth."""
    first, last, grown = growth(samples)
    shown = list(dict.fromkeys((*samples[:: max(1, len(samples) // _SHOWN)], first, last)))
    rows = [
        {
            "requests": sample.requests,
            "PSS of all MB": None if sample.memory.pss_mb is None else round(sample.memory.pss_mb, 1),
            "RSS of largest MB": round(sample.memory.rss_mb, 1),
        }
        for sample in sorted(shown)
    ]
    grew = {
        "from": first.requests,
        "to": last.requests,
        "growth": f"{grown:+.1%}",
        "promised": f"at most {GROWTH_MAX:.0%}",
        "most MB": round(max(sample.mb for sample in samples), 1),
    }
    return [Table("Memory by requests", rows), Table("Growth", [grew])]
