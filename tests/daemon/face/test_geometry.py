"""Similarity transforms recover what was done, and warping shrinks without aliasing."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daemon.face.geometry import apply, inverse, similarity, square, warp

POINTS = np.array([(30.0, 40.0), (70.0, 41.0), (50.0, 60.0), (35.0, 80.0), (66.0, 79.0)])

angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


def _transform(angle: float, scale: float, shift: tuple[float, float]) -> npt.NDArray[np.float64]:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([(c, -s, shift[0]), (s, c, shift[1])])


@given(angles, scales, shifts)
def test_a_known_turn_scale_and_shift_is_recovered(angle: float, scale: float, shift: tuple[float, float]) -> None:
    known = _transform(angle, scale, shift)
    target = POINTS @ known[:, :2].T + known[:, 2]
    np.testing.assert_allclose(similarity(POINTS, target), known, atol=1e-8 * (1 + scale * 500))


@given(st.integers(0, 2**32 - 1))
def test_points_that_do_not_fit_get_the_least_squares_solution(seed: int) -> None:
    target = POINTS * 1.3 + np.random.default_rng(seed).normal(scale=5, size=(5, 2))
    # Independent: x' = a x - b y + tx, y' = b x + a y + ty is linear in its four unknowns.
    rows = [row for x, y in POINTS for row in ((x, -y, 1, 0), (y, x, 0, 1))]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), target.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(POINTS, target), [(a, -b, tx), (b, a, ty)], atol=1e-8)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    found = similarity(POINTS, POINTS * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0


@given(angles, scales, shifts)
def test_the_inverse_undoes_a_transform(angle: float, scale: float, shift: tuple[float, float]) -> None:
    known = _transform(angle, scale, shift)
    np.testing.assert_allclose(apply(inverse(known), apply(known, POINTS)), POINTS, atol=1e-6)


def test_a_quarter_turn_takes_x_to_y() -> None:
    np.testing.assert_allclose(apply(_transform(math.pi / 2, 2, (10, 20)), [(3, 0), (0, 3)]), [(10, 26), (4, 20)])


def test_a_square_is_brought_onto_the_whole_result() -> None:
    # A square of 40 px around (100, 60), onto 320 px.
    found = apply(square((100, 60), 40, 320), [(80, 40), (120, 80), (100, 60)])
    np.testing.assert_allclose(found, [(0, 0), (320, 320), (160, 160)])


@pytest.fixture
def noise() -> npt.NDArray[np.uint8]:
    """Pixels without any likeness to their neighbours: what aliases worst; uint8 (896, 896, 3)."""
    return np.random.default_rng(1).integers(0, 256, (896, 896, 3), np.uint8)


def test_a_shift_by_whole_pixels_changes_no_pixel(noise: npt.NDArray[np.uint8]) -> None:
    shifted = warp(noise, np.array([(1.0, 0, -30), (0, 1.0, -50)]), 112)
    np.testing.assert_array_equal(shifted, noise[50:162, 30:142])


def test_beyond_the_edge_it_is_black(noise: npt.NDArray[np.uint8]) -> None:
    shifted = warp(noise, np.array([(1.0, 0, 10), (0, 1.0, 0)]), 112)
    assert not shifted[:, :10].any()
    np.testing.assert_array_equal(shifted[:, 10:], noise[:112, :102])


def test_shrinking_averages_as_pillow_does(noise: npt.NDArray[np.uint8]) -> None:
    # Result pixel i shows the middle of the photo's pixels 8 i to 8 i + 7, which lies at 8 i + 3.5. A hair less than an
    # eighth, because the warp averages by the whole number below the shrinkage, and rounding could make that 7.
    scale = 1 / 8 - 1e-9
    shrunk = warp(noise, np.array([(scale, 0, -3.5 * scale), (0, scale, -3.5 * scale)]), 112)
    np.testing.assert_allclose(shrunk, np.asarray(Image.fromarray(noise).reduce(8)), atol=1)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 200])
def test_shrinking_a_fine_pattern_gives_its_mean(angle_deg: float) -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 200
    turn = _transform(math.radians(angle_deg), 1 / 6, (0, 0))
    turn[:, 2] = 56 - turn[:, :2] @ (448, 448)  # the photo's middle onto the result's middle
    middle = warp(stripes, turn, 112)[40:72, 40:72]
    np.testing.assert_allclose(middle, 100, atol=20)  # sampling without averaging gives anything from 0 to 200


@pytest.mark.parametrize("centre", [(-300, -300), (448, -400), (1500, 1500), (3, 890)])
def test_a_face_at_or_beyond_the_edge_still_gives_a_whole_square(
    noise: npt.NDArray[np.uint8], centre: tuple[int, int]
) -> None:
    assert warp(noise, square(centre, 400, 112), 112).shape == (112, 112, 3)


def test_what_shrinks_lands_where_what_does_not_shrink_lands() -> None:
    # A dot's centre of mass must follow the transform, whichever path the warp takes; by arithmetic.
    photo = np.zeros((600, 600, 3), np.uint8)
    photo[300:316, 200:216] = 255  # centre at (207.5, 307.5)
    for scale in (0.6, 0.45, 0.3, 0.2):
        transform = _transform(0.3, scale, (10, -20))
        shown = warp(photo, transform, 200)[..., 0].astype(float)
        seen = [(shown * axis).sum() / shown.sum() for axis in np.mgrid[:200, :200][::-1]]
        np.testing.assert_allclose(seen, apply(transform, (207.5, 307.5)), atol=0.1)
