"""What photo size and number of clients cost: every size with every number of clients, step by step.

A step counts as long as the slower photo took for it; where others hold the cores, that is not always the same photo,
and the steps add up to more than the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tools.benchmark import load
from tools.benchmark.figures import Round, cpu_ms, part_medians_ms, percentile
from tools.benchmark.photos import longer_side_px, sized_pairs
from tools.benchmark.processes import tree_cpu_s
from tools.benchmark.site import BenchSite, Cores, sealed_pairs, started
from tools.benchmark.subject import subject
from tools.benchmark.tables import Row, Table, shown
from tools.console import progress

SIZES_KB = (50, 100, 200, 300, 600, 1000, 2000, 3500, 5000)
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
_CLIENTS_ALONE = 1
_SHOWN_KB = 300
"""Size whose steps are shown for each number of clients."""

_WARM_S = 0.5
_SHOWN = ("open", "decode", "detect", "align", "embed")
"""Steps; the others take less than 0.1 ms."""

_WAITING = "rest"
"""What of a request's time is in no step: receiving it, its form, its place in the queue, the answer."""


class Asked(NamedTuple):
    """How much is measured.

    Attributes:
        sizes_kb: of each photo, in 1,000 bytes.
        clients: at the same time, each without a pause.
        seconds: of each measurement.
        cores: where it runs.
    """

    sizes_kb: Sequence[int]
    clients: Sequence[int]
    seconds: float
    cores: Cores


class Cell(NamedTuple):
    """One measurement.

    Attributes:
        size_kb: of each photo.
        side_px: the longer side of the larger photo.
        clients: at the same time.
        found: what ended.
    """

    size_kb: int
    side_px: int
    clients: int
    found: Round


def measure_cost(site: BenchSite, samples: Mapping[str, bytes], asked: Asked) -> list[Cell]:
    """Every size with every number of clients.

    Raises:
        DeviceError: the daemon does not start, or no photo of a size can be made.
    """
    with started(site) as (daemon, _):
        cells = _cells(site, daemon.pid, samples, asked)
        return list(progress(cells, len(asked.sizes_kb) * len(asked.clients), "sizes and numbers of clients measured"))


def _cells(site: BenchSite, daemon: int, samples: Mapping[str, bytes], asked: Asked) -> Iterator[Cell]:
    for size_kb in asked.sizes_kb:
        pairs = sized_pairs(samples, [size_kb])
        side_px = max(longer_side_px(photo) for photo in (pairs[0].first, pairs[0].second))
        with subject(load.serve, site.port, sealed_pairs(site, pairs), asked.cores.asking) as asking:
            asking.ask(load.Closed(_CLIENTS_ALONE, _WARM_S))
            for clients in asked.clients:
                began_s = tree_cpu_s(daemon)
                found: Round = asking.ask(load.Closed(clients, asked.seconds))
                yield Cell(size_kb, side_px, clients, found._replace(cpu_s=tree_cpu_s(daemon) - began_s))


def cost_tables(cells: Sequence[Cell]) -> list[Table]:
    """By size for the fewest clients, by clients for the size nearest 300 kB, and all rates."""
    fewest = min(cell.clients for cell in cells)
    shown_kb = min((cell.size_kb for cell in cells), key=lambda size_kb: abs(size_kb - _SHOWN_KB))
    by_size = [
        {"photo kB": cell.size_kb, "longer side px": cell.side_px, **_row(cell)}
        for cell in cells
        if cell.clients == fewest
    ]
    by_clients = [
        {
            "clients": cell.clients,
            **_row(cell),
            "p99": shown(percentile(cell.found.latencies_ms, 0.99)),
            **_refused(cell),
        }
        for cell in cells
        if cell.size_kb == shown_kb
    ]
    return [
        Table(f"Milliseconds by photo size, {fewest} at a time (medians)", by_size),
        Table(f"Milliseconds by clients, photos of {shown_kb} kB (medians)", by_clients),
        Table("Verifications per second by photo kB and clients; in brackets, refused", _rates(cells)),
    ]


def _row(cell: Cell) -> Row:
    steps = part_medians_ms([cell.found])
    whole_ms = percentile(cell.found.latencies_ms, 0.5)
    return {
        "per s": shown(_rate(cell.found)),
        "whole": shown(whole_ms),
        **{name: shown(steps.get(name, float("nan"))) for name in _SHOWN},
        _WAITING: shown(whole_ms - sum(steps.values())),
        "processor": shown(cpu_ms([cell.found])),
    }


def _refused(cell: Cell) -> Row:
    lost = len(cell.found.done) - len(cell.found.answered) - len(cell.found.refused)
    return {"refused": len(cell.found.refused), "failed": lost}


def _rate(found: Round) -> float:
    """Where clients were told to come later, what was answered in all the time; else see `Round.rate`."""
    return found.throughput if len(found.answered) < len(found.done) else found.rate


def _rates(cells: Sequence[Cell]) -> list[Row]:
    rows: dict[int, Row] = {}
    for cell in cells:
        refused = len(cell.found.done) - len(cell.found.answered)
        rate = f"{shown(_rate(cell.found))}" + (f" ({refused})" if refused else "")
        rows.setdefault(cell.size_kb, {"kB": cell.size_kb})[str(cell.clients)] = rate
    return list(rows.values())
