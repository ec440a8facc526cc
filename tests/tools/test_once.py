"""What is made once is made once, whoever asks and however it ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tools.once import Once


def test_many_who_ask_at_once_get_the_one_value() -> None:
    made: list[int] = []
    gate = Barrier(4)

    def make() -> int:
        made.append(len(made))
        return 7

    once = Once(make)

    def ask(_number: int) -> int:
        gate.wait(10)
        return once()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [7] * 4
    assert made == [0]


def test_a_refusal_is_remembered() -> None:
    tried: list[int] = []

    def make() -> int:
        tried.append(1)
        raise ValueError("no")

    once = Once(make)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            once()
    assert tried == [1]
