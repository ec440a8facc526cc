"""A head is found again from data whose rule is known, looks where its regions are, and one seed gives one file."""

from __future__ import annotations

import io

import numpy as np
import pytest

from daemon.records import REGIONS, Floats
from tests.conftest import REPOSITORY
from tools.occlusion_head import WINDOW, Halves, Head, fit, reach, window

FEATURES = 6


@pytest.fixture(scope="module")
def known() -> tuple[Halves, Floats]:
    """Windows in which a region is covered where feature 2 is high in its landmark's cell; all else is noise."""
    random = np.random.default_rng(1)
    visible = (random.random((1500, 4)) < 0.5).astype(np.float32)
    windows = random.normal(5, 2, (1500, WINDOW, FEATURES)).astype(np.float32)
    # Left eye, right eye, nose, mouth: rows and columns of 8 px, the window beginning at row 4 and column 2.
    for region, (row, column) in enumerate([(6, 9), (6, 4), (8, 7), (11, 7)]):
        windows[:, (row - 4) * 10 + column - 2, 2] += 12 * (1 - visible[:, region])
    return windows.astype(np.float16), visible


@pytest.fixture(scope="module")
def head(known: tuple[Halves, Floats]) -> Head:
    """Fitted on the first two thirds."""
    windows, visible = known
    return fit(windows[:1000], visible[:1000], 40, np.random.default_rng(1))


def test_a_known_rule_is_found_again_on_examples_not_learned_from(known: tuple[Halves, Floats], head: Head) -> None:
    windows, visible = known
    assert ((head.visible(windows[1000:]) > 0.5) == (visible[1000:] > 0.5)).mean() > 0.97


def test_what_is_not_known_teaches_nothing(known: tuple[Halves, Floats]) -> None:
    windows, visible = known[0][:256], known[1][:256].copy()
    visible[:, 3] = np.nan
    # The sum of the region of which nothing is known keeps its first weights but for their decay: its bias stays 0.
    assert fit(windows, visible, 2, np.random.default_rng(1)).regions_bias[3] == 0


def test_a_share_between_0_and_1_is_learned_as_such(known: tuple[Halves, Floats]) -> None:
    windows, _ = known
    halfway = fit(windows, np.full((len(windows), 4), 0.4, np.float32), 4, np.random.default_rng(1))
    assert halfway.visible(windows).mean(axis=0) == pytest.approx([0.4] * 4, abs=0.05)


def test_one_seed_gives_one_file_and_another_another(known: tuple[Halves, Floats]) -> None:
    windows, visible = known[0][:200], known[1][:200]
    first, again, other = (fit(windows, visible, 1, np.random.default_rng(seed)).file() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_file_holds_what_the_head_computes_with(head: Head, known: tuple[Halves, Floats]) -> None:
    with np.load(io.BytesIO(head.file()), allow_pickle=False) as file:
        kept = Head(*(file[name].astype(np.float32) for name in ("weight", "bias", "regions", "regions_bias")))
    np.testing.assert_array_equal(kept.visible(known[0][:50]), head.visible(known[0][:50]))


def test_a_head_on_a_window_is_the_head_on_the_whole_map(head: Head) -> None:
    features = np.random.default_rng(3).normal(5, 2, (4, FEATURES, 14, 14)).astype(np.float32)
    # Written out for the whole map, as the recipe joins it.
    cells = np.einsum("nfyx,cf->ncyx", features, head.weight) + head.bias[:, None, None]
    sums = np.einsum("ncyx,rcyx->nr", cells.clip(min=0), head.regions) + head.regions_bias
    np.testing.assert_allclose(head.visible(window(features)), 1 / (1 + np.exp(-sums)), atol=5e-3)


@pytest.mark.parametrize(
    ("region", "x", "y"),
    # Source: where ArcFace's alignment puts the landmarks in 112 x 112 px.
    [("left_eye", 73.5, 51.5), ("right_eye", 38.3, 51.7), ("nose", 56.0, 71.7), ("mouth", 56.1, 92.3)],
)
def test_a_region_reaches_the_cells_around_its_landmark(region: str, x: float, y: float) -> None:
    near = reach()[:, REGIONS.index(region)].reshape(10, 10)
    rows, columns = np.mgrid[4:14, 2:12] * 8 + 4  # the window begins at row 4 and column 2 of cells of 8 px
    assert (near * columns).sum() / near.sum() == pytest.approx(x, abs=4.0)
    assert (near * rows).sum() / near.sum() == pytest.approx(y, abs=4.0)


def test_the_committed_head_uses_no_cell_beyond_its_reach() -> None:
    with np.load(REPOSITORY / "trt_engines" / "sface" / "occlusion_head.npz") as file:
        regions = file["regions"]
    used = np.zeros((4, 14, 14), bool)
    used[:, 4:14, 2:12] = reach().T.reshape(4, 10, 10) > 0
    assert not regions[np.broadcast_to(~used[:, None], regions.shape)].any()
