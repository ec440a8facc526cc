"""The occlusion head's weights are found again from data that is known, and repeat from a seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from daemon.records import REGIONS, Doubles
from tests.conftest import REPOSITORY, STATE
from tools.cli import main
from tools.train_occlusion import fit_logistic, occluded, region_weights


def simulated(weights: Doubles, bias: float, count: int) -> tuple[Doubles, Doubles]:
    """Features and outcomes of a logistic model."""
    random = np.random.default_rng(1)
    features = random.normal(2.0, [1.0, 0.1, 5.0], (count, 3))
    return features, (random.random(count) < 1 / (1 + np.exp(-(features @ weights + bias)))).astype(np.float64)


def test_known_weights_are_recovered_from_simulated_data() -> None:
    known = np.array([1.0, -8.0, 0.1])
    weight, bias = fit_logistic(*simulated(known, 13.5, 100_000))
    np.testing.assert_allclose(weight, known, rtol=0.08)
    assert bias == pytest.approx(13.5, rel=0.08)


def test_one_yes_or_no_feature_gives_the_log_odds_of_a_table() -> None:
    features = np.repeat([0.0, 1.0], 1000)[:, None]
    visible = np.concatenate([np.arange(1000) < 200, np.arange(1000) < 700]).astype(np.float64)
    weight, bias = fit_logistic(features, visible)
    # Closed form: bias ln(0.2 / 0.8), weight ln(0.7 / 0.3) - bias; the small ridge draws the weight a little to 0.
    assert bias == pytest.approx(-1.3863, abs=0.03)
    assert weight[0] == pytest.approx(2.2336, abs=0.05)


def test_data_that_a_plane_parts_gives_finite_weights_that_part_it() -> None:
    features = np.random.default_rng(2).normal(size=(500, 4))
    visible = (features[:, 0] > 0).astype(np.float64)
    weight, bias = fit_logistic(features, visible)
    assert np.isfinite([*weight, bias]).all()
    assert np.mean((features @ weight + bias > 0) == (visible > 0.5)) > 0.98


def test_a_feature_that_never_changes_has_no_say() -> None:
    features, visible = simulated(np.array([1.0, 0.0, 0.0]), -2.0, 5000)
    features[:, 2] = 7.0
    weight, bias = fit_logistic(features, visible)
    without, _ = fit_logistic(features[:, :2], visible)
    np.testing.assert_allclose(weight[:2], without, rtol=1e-3)
    assert np.isfinite(bias)


def test_each_regions_weights_sum_to_one() -> None:
    weights = region_weights()
    assert (weights.shape, weights.dtype.name) == ((196, 4), "float32")
    np.testing.assert_allclose(weights.sum(axis=0), np.ones(4), rtol=1e-6)


@pytest.mark.parametrize(
    ("region", "x", "y"),
    # Source: where ArcFace's alignment puts the landmarks in 112 x 112 px; the subject's left is the crop's right.
    [("left_eye", 73.5, 51.5), ("right_eye", 38.3, 51.7), ("nose", 56.0, 71.7), ("mouth", 56.1, 92.3)],
)
def test_a_regions_weights_lie_around_its_landmark(region: str, x: float, y: float) -> None:
    weights = region_weights()[:, REGIONS.index(region)].reshape(14, 14)
    rows, columns = np.mgrid[:14, :14] * 8 + 4
    assert (weights * columns).sum() == pytest.approx(x, abs=1.0)
    assert (weights * rows).sum() == pytest.approx(y, abs=1.0)


def test_no_cell_counts_for_both_eyes() -> None:
    weights = region_weights()
    assert not (weights[:, 0] * weights[:, 1]).any()


def test_the_committed_heads_regions_are_these() -> None:
    with np.load(REPOSITORY / "trt_engines" / "sface" / "occlusion_head.npz") as head:
        np.testing.assert_array_equal(head["regions"], region_weights())


def test_training_examples_are_clean_or_covered_and_repeat_from_a_seed() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    covers = []
    for seed in range(60):
        drawn, cover = occluded(crop, np.random.default_rng(seed))
        again, _ = occluded(crop, np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn, again)
        covers.append(cover.any())
    assert 20 < sum(covers) < 55


@pytest.fixture
def photos(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """A labelled folder of four photos."""
    for name, photo in samples.items():
        (tmp_path / "photos" / name.rstrip("23")).mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name.rstrip("23") / f"{name}.jpg").write_bytes(photo)
    return tmp_path / "photos"


def train(photos: Path, out: Path, *more: str) -> int:
    where = ["--networks", str(REPOSITORY / "trt_engines"), "--cache", str(STATE / "cache"), "--out", str(out)]
    return main(["train-occlusion", str(photos), *where, "--rounds", "3", "--json", *more])


def test_training_repeats_from_its_seed(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outs = [tmp_path / "one.npz", tmp_path / "two.npz", tmp_path / "other.npz"]
    assert [train(photos, out, "--seed", seed) for out, seed in zip(outs, "112", strict=True)] == [0, 0, 0]
    contents = []
    for out in outs:
        with np.load(out) as head:
            contents.append({name: head[name] for name in head.files})
    assert {name: value.shape for name, value in contents[0].items()} == {
        "weight": (512,),
        "bias": (),
        "regions": (196, 4),
    }
    np.testing.assert_allclose(contents[0]["weight"], contents[1]["weight"], rtol=1e-4, atol=1e-6)
    assert not np.allclose(contents[0]["weight"], contents[2]["weight"], rtol=1e-2)
    assert capsys.readouterr().out.count('"sha256"') == 3


def test_training_tells_covered_cells_from_visible_ones(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(photos, tmp_path / "head.npz")
    assert json.loads(capsys.readouterr().out)["cells_right"] > 0.9


def test_a_network_without_features_for_a_head_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(photos, tmp_path / "head.npz", "--network", "yunet") == 2
    assert "yunet names no occlusion feature" in capsys.readouterr().err
    assert not (tmp_path / "head.npz").exists()
