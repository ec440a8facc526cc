"""GIF: the first frame, its own palette, its order of rows, and white where it shows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import InvalidPhotoSize, InvalidPhotoType
from tests.daemon.photo.gif_files import Frame, gif
from tests.daemon.photo.photo_files import Rgb, decoded

RANDOM = np.random.default_rng(5)
PALETTE: Rgb = RANDOM.integers(0, 255, (256, 3), np.uint8)  # no white
OTHER: Rgb = RANDOM.integers(0, 255, (256, 3), np.uint8)
INDICES: Rgb = RANDOM.integers(0, 256, (21, 35), np.uint8)
SIZE = (35, 21)


@pytest.mark.parametrize("interlaced", [False, True])
def test_the_palette_s_colours_come_out(interlaced: bool) -> None:
    photo = gif(SIZE, PALETTE, Frame(INDICES, interlaced=interlaced))
    np.testing.assert_array_equal(decoded(photo), PALETTE[INDICES])


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_frame_s_own_palette_comes_first(interlaced: bool) -> None:
    photo = gif(SIZE, PALETTE, Frame(INDICES, palette=OTHER, interlaced=interlaced))
    np.testing.assert_array_equal(decoded(photo), OTHER[INDICES])


def test_a_frame_s_own_palette_may_be_the_only_one() -> None:
    np.testing.assert_array_equal(decoded(gif(SIZE, None, Frame(INDICES, palette=OTHER))), OTHER[INDICES])


def test_the_first_frame_counts() -> None:
    photo = gif(SIZE, PALETTE, Frame(INDICES), *[Frame(255 - INDICES, palette=OTHER)] * 20)
    np.testing.assert_array_equal(decoded(photo), PALETTE[INDICES])


def test_the_clear_index_is_white() -> None:
    expected = PALETTE[INDICES]
    expected[INDICES == 7] = 255
    assert (INDICES == 7).any()
    np.testing.assert_array_equal(decoded(gif(SIZE, PALETTE, Frame(INDICES, clear=7))), expected)


@pytest.mark.parametrize("clear", [None, 7])
@pytest.mark.parametrize("palette", [None, OTHER])
def test_around_a_small_frame_the_photo_is_white(clear: int | None, palette: Rgb | None) -> None:
    expected = np.full((200, 300, 3), 255, np.uint8)
    expected[140:161, 250:285] = (PALETTE if palette is None else palette)[INDICES]
    if clear is not None:
        expected[140:161, 250:285][clear == INDICES] = 255
    frame = Frame(INDICES, 250, 140, palette, clear)
    np.testing.assert_array_equal(decoded(gif((300, 200), PALETTE, frame)), expected)


def test_a_frame_beyond_the_canvas_counts_for_the_limits() -> None:
    with pytest.raises(InvalidPhotoSize):
        decoded(gif(SIZE, PALETTE, Frame(INDICES, left=4990)))


def test_without_a_frame_it_is_no_photo() -> None:
    with pytest.raises(InvalidPhotoType):
        decoded(gif(SIZE, PALETTE))
