"""Run-length encoded pixels: each command does what the format says, and no run reaches beyond its row."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import InvalidPhotoType
from daemon.photo.runs import unrolled

# Source: the example in Microsoft, "Bitmap Compression" (Windows GDI), its jump and its end included.
_MICROSOFT_8 = bytes.fromhex("0304 0506 0003 4556 6700 0278 0002 0501 0278 0000 091E 0001")
_MICROSOFT_4 = bytes.fromhex("0304 0506 0006 4556 6700 0478 0002 0501 0478 0000 091E 0001")


def _row(values: str, width: int) -> list[int]:
    """Space-separated hex values, filled up with 0."""
    numbers = [int(value, 16) for value in values.split()]
    return numbers + [0] * (width - len(numbers))


def test_the_format_s_own_example_of_8_bits_decodes() -> None:
    rows = unrolled(_MICROSOFT_8, 8, (20, 3))
    assert rows[0].tolist() == _row("04 04 04 06 06 06 06 06 45 56 67 78 78", 20)
    assert rows[1].tolist() == _row("0 " * 18 + "78 78", 20)  # five to the right and one up of where it stood
    assert rows[2].tolist() == _row("1e " * 9, 20)


def test_the_format_s_own_example_of_4_bits_decodes() -> None:
    rows = unrolled(_MICROSOFT_4, 4, (26, 3))
    assert rows[0].tolist() == _row("0 4 0 0 6 0 6 0 4 5 5 6 6 7 7 8 7 8", 26)
    assert rows[1].tolist() == _row("0 " * 23 + "7 8 7", 26)  # a fourth value would stand beyond the row
    assert rows[2].tolist() == _row("1 e 1 e 1 e 1 e 1", 26)


def test_what_reaches_beyond_a_row_is_dropped() -> None:
    rows = unrolled(b"\xff\x07\xff\x08\0\0\x02\x09\0\1", 8, (3, 2))
    assert rows.tolist() == [[7, 7, 7], [9, 9, 0]]


def test_an_early_end_leaves_the_rest_as_it_was() -> None:
    assert unrolled(b"\x01\x07\0\1", 8, (2, 2)).tolist() == [[7, 0], [0, 0]]


def test_a_missing_end_after_the_last_row_is_no_fault() -> None:
    assert unrolled(b"\x02\x07\0\0\x02\x08", 8, (2, 2)).tolist() == [[7, 7], [8, 8]]


@pytest.mark.parametrize("runs", [b"", b"\x02", b"\x02\x07\0\0\x01\x08", b"\x02\x07\0\x04\1\2", b"\0\2\1"])
def test_runs_that_end_early_are_refused(runs: bytes) -> None:
    with pytest.raises(InvalidPhotoType, match="end early"):
        unrolled(runs, 8, (2, 2))


def test_millions_of_pairs_for_one_row_cost_no_more_than_the_row() -> None:
    rows = unrolled(b"\xff\x07" * 2_500_000 + b"\0\1", 8, (5000, 8))
    assert np.count_nonzero(rows == 7) == 5000
