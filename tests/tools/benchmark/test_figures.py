"""Rates, percentiles, ratios and arrivals against arithmetic by hand and against theory."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from tools.benchmark.figures import (
    Done,
    Round,
    arrivals_s,
    cpu_ms,
    mean_rate,
    median_ms,
    part_medians_ms,
    percentile,
    queued_ms,
    ratio,
)


def _draw() -> np.random.Generator:
    return np.random.default_rng(7)


def _steady(rate: float, cpu_s: float = 0.0) -> Round:
    """One client, four verifications, each as long as the last."""
    return Round(10.0, [Done(0, 0, 10 + n / rate, 10 + (n + 1) / rate) for n in range(4)], cpu_s)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100)])
def test_percentiles_of_one_to_a_hundred_are_their_ranks(share: float, expected: float) -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, 101.0))
    assert percentile(values, share) == expected


def test_percentile_is_a_latency_that_somebody_had() -> None:
    assert percentile(np.array([1.0, 2.0, 100.0]), 0.99) == 100


def test_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile(np.array([]), 0.5))


def test_latency_counts_from_when_it_was_due_and_not_from_when_it_was_sent() -> None:
    assert Done(0, 0, due_s=2.0, ended_s=2.5).latency_ms == 500


def _queue(clients: int, servers: int, each: int, took_s: float) -> Round:
    """What clients without a pause would see of a queue: the first to come is served first, always as fast."""
    coming = [(0.0, client) for client in range(clients)]
    free = [0.0] * servers
    done: list[Done] = []
    left = dict.fromkeys(range(clients), each)
    while coming:
        due_s, client = heapq.heappop(coming)
        ended_s = max(due_s, heapq.heappop(free)) + took_s
        heapq.heappush(free, ended_s)
        done.append(Done(client, 0, due_s, ended_s))
        left[client] -= 1
        if left[client]:
            heapq.heappush(coming, (ended_s, client))
    return Round(0.0, done)


@pytest.mark.parametrize(
    ("clients", "servers", "each"), [(1, 1, 4), (2, 2, 4), (8, 1, 4), (8, 4, 4), (8, 2, 12), (32, 4, 1)]
)
def test_rate_is_what_the_servers_can_do(clients: int, servers: int, each: int) -> None:
    assert _queue(clients, servers, each, took_s=0.5).rate == pytest.approx(servers / 0.5)


def test_refused_requests_are_no_verifications() -> None:
    found = Round(0.0, [Done(0, 0, 0, 1.0), Done(0, 0, 1.0, 1.1, status=503), Done(0, 0, 1.1, 2.0, status=0)])
    assert (len(found.answered), len(found.refused)) == (1, 1)
    assert found.throughput == pytest.approx(1 / 2)
    assert found.latencies_ms.tolist() == [1000]


def test_processor_time_is_of_one_verification() -> None:
    assert cpu_ms([_steady(10, cpu_s=3.0), _steady(10, cpu_s=5.0)]) == pytest.approx(8000 / 8)


def test_ratio_of_machines_that_are_equally_slowed_is_exact() -> None:
    speeds = [1.0, 0.5, 0.25, 1.0]
    found = ratio(mean_rate, [_steady(30 * s) for s in speeds], [_steady(10 * s) for s in speeds], _draw())
    assert tuple(found) == pytest.approx((3, 3, 3))


def test_interval_is_as_wide_as_the_normal_one() -> None:
    # By theory: for 40 rounds the mean of rates is about normal, with a standard error of s / sqrt(40).
    rates = np.random.default_rng(3).normal(20, 2, 40)
    found = ratio(mean_rate, [_steady(rate) for rate in rates], [_steady(1.0)] * 40, _draw())
    error = rates.std() / math.sqrt(40)
    assert found.value == pytest.approx(rates.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_ratio_of_medians_is_theirs() -> None:
    assert ratio(median_ms, [_steady(10)] * 3, [_steady(4)] * 3, _draw()).value == pytest.approx(0.4)


def test_arrivals_are_a_poisson_process() -> None:
    rate, seconds = 40.0, 500.0
    found = arrivals_s(rate, seconds, _draw())
    gaps = np.diff(found)
    assert found[0] >= 0
    assert found[-1] < seconds
    assert gaps.min() >= 0
    # By theory: counts vary by the root of their mean; a gap exceeds its mean with probability 1/e. Five sigma each.
    assert len(found) == pytest.approx(rate * seconds, abs=5 * math.sqrt(rate * seconds))
    longer = np.mean(gaps > 1 / rate)
    assert longer == pytest.approx(math.exp(-1), abs=5 * math.sqrt(0.37 * 0.63 / len(gaps)))


def test_parts_are_medians_in_the_order_in_which_they_come() -> None:
    done = [Done(0, 0, 0, 1, parts_ms={"open": value, "decode": 10 * value}) for value in (1.0, 9.0, 2.0)]
    assert list(part_medians_ms([Round(0, done[:2]), Round(0, done[2:])]).items()) == [("open", 2), ("decode", 20)]


def test_a_queue_of_equal_work_by_hand() -> None:
    # The second waits 0.9 s for the first; the third comes when nobody is there.
    np.testing.assert_allclose(queued_ms([0.0, 0.1, 5.0], 1.0), [1000, 1900, 1000])


def test_the_mean_wait_of_random_arrivals_is_pollaczek_s_and_khinchine_s() -> None:
    load = 0.7
    waits_ms = queued_ms(arrivals_s(load, 200_000.0, _draw()).tolist(), 1.0) - 1000
    assert waits_ms.mean() == pytest.approx(1000 * load / (2 * (1 - load)), rel=0.05)
