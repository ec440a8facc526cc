"""What the shipped calibration promises, measured on the photos for measuring."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import Config
from tests.conftest import SHARED_DATA
from tools.error_rates import best_accuracy
from tools.extraction import labelled_photos, listed_pairs
from tools.mapping import only_listed
from tools.measurement import measure

PAIR_LIST = SHARED_DATA / "lfw_pairs.csv"
FOLDER = SHARED_DATA / "lfw"


@pytest.mark.shared_data
def test_the_listed_pairs_of_lfw_are_told_apart(config: Config, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    listed = listed_pairs(PAIR_LIST, FOLDER)
    assert len(listed) == 2247
    pairs = listed if pytestconfig.getoption("--all-pairs") else listed[::6]
    named = {path for pair in pairs for path in (pair.first, pair.second)}
    photos = [photo for photo in labelled_photos(FOLDER) if photo.path in named]
    measured = measure(photos, config.inference, tmp_path, threads=2)
    accuracy, _ = best_accuracy(only_listed(measured, pairs, seed=1).pairs)
    assert measured.failures == ()
    assert accuracy >= 0.993
