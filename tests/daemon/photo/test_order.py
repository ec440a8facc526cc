"""Orders: sizes at their limits, reductions by hand, and a form that another process reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import InvalidPhotoSize
from daemon.photo.order import Order

ORDER = Order(8, 5000, 0, 8, 1250)


@pytest.mark.parametrize("size", [(8, 8), (5000, 5000), (8, 5000)])
def test_sides_at_the_limits_are_accepted(size: tuple[int, int]) -> None:
    ORDER.check_size(size)


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (5001, 8), (8, 5001), (0, 0), (-8, 8)])
def test_a_side_beyond_the_limits_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidPhotoSize):
        ORDER.check_size(size)


@given(st.integers(8, 5000), st.integers(8, 5000), st.integers(1, 9), st.integers(1, 5000))
def test_a_reduction_is_the_largest_that_leaves_enough(width: int, height: int, most: int, enough: int) -> None:
    times = Order(8, 5000, 0, most, enough).reduction((width, height))
    assert times in (1, 2, 4, 8)
    assert times <= most
    assert times == 1 or width * height >= (enough * times) ** 2
    assert times == 8 or 2 * times > most or width * height < (enough * 2 * times) ** 2


@given(st.tuples(*[st.integers(0, 2**32 - 1)] * 6))
def test_what_is_packed_comes_back(numbers: tuple[int, int, int, int, int, int]) -> None:
    order = Order(*numbers)
    assert Order.unpacked(order.packed()) == order
