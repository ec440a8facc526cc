"""Times of refusals: what is alike is called alike, what is not is told apart."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from daemon.sealed.keys import KeyKind, Secret
from tools.opening_times import KINDS, Timed, compare_refusals, measure_opening


def _make(kind: KeyKind) -> Secret:
    makers: dict[KeyKind, Callable[[], Secret]] = {
        KeyKind.X25519: x25519.X25519PrivateKey.generate,
        KeyKind.P256: lambda: ec.generate_private_key(ec.SECP256R1()),
        KeyKind.RSA: lambda: rsa.generate_private_key(65537, 2048),
        KeyKind.DIRECT: lambda: os.urandom(32),
    }
    return makers[kind]()


def _timed(situation: str, mean_us: float, seed: int) -> Timed:
    return Timed(KeyKind.DIRECT, situation, np.random.default_rng(seed).normal(mean_us, 5.0, 2000))


def test_every_situation_of_every_kind_of_key_is_measured() -> None:
    rows = list(measure_opening(_make, photo_bytes=1000, rounds=3))
    assert [{row.kind for row in of_kind} for of_kind in rows] == [{kind} for kind in KINDS]
    situations = ["right key", "wrong key", "wrong tag", "unknown key id", "truncated", "another terminal's"]
    assert [[row.situation for row in of_kind] for of_kind in rows] == [situations] * 4
    assert {len(row.times_us) for of_kind in rows for row in of_kind} == {3}


def test_refusals_are_compared_in_pairs_and_the_right_key_is_not() -> None:
    rows = [_timed(name, 100.0, seed) for seed, name in enumerate(["right key", "a", "b", "c"])]
    found = compare_refusals(rows, np.random.default_rng(9))
    assert [row.situations for row in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_times_of_one_distribution_are_not_told_apart() -> None:
    (row,) = compare_refusals([_timed("a", 100.0, 1), _timed("b", 100.0, 2)], np.random.default_rng(9))
    assert not row.told_apart
    assert row.low_us < 0 < row.high_us


def test_a_shift_is_told_apart_and_lies_in_its_interval() -> None:
    (row,) = compare_refusals([_timed("a", 103.0, 1), _timed("b", 100.0, 2)], np.random.default_rng(9))
    assert row.told_apart
    assert row.low_us < 3.0 < row.high_us


def test_a_few_times_that_the_machine_drew_out_do_not_count() -> None:
    late = _timed("a", 100.0, 1)
    drawn_out = np.concatenate([late.times_us[:-20], np.full(20, 100_000.0)])
    (row,) = compare_refusals([Timed(KeyKind.DIRECT, "a", drawn_out), _timed("b", 100.0, 2)], np.random.default_rng(9))
    assert not row.told_apart


@pytest.mark.parametrize("mean_us", [50.0, 100.0])
def test_welchs_t_is_that_of_its_formula(mean_us: float) -> None:
    # Source: Welch 1947, by hand: means apart by 1, variances 1 and n 4 each, so t = 1 / sqrt(1/4 + 1/4).
    one = np.array([mean_us - np.sqrt(1.5), mean_us, mean_us, mean_us + np.sqrt(1.5)])
    rows = [Timed(KeyKind.DIRECT, "a", one + 1), Timed(KeyKind.DIRECT, "b", one)]
    (row,) = compare_refusals(rows, np.random.default_rng(9), crop=1.0)
    assert row.t == pytest.approx(2**0.5)


def test_a_median_is_given_for_each_row() -> None:
    assert Timed(KeyKind.RSA, "a", np.array([1.0, 9.0, 2.0])).median_us == 2.0
