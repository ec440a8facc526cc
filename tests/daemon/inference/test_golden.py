"""Golden vectors: what a network computes now against what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daemon.inference.engine import GOLDEN_FILE, load_engine
from daemon.inference.golden import check_golden, cosine
from tests.daemon.inference.copies import CPU, MANIFEST


def test_the_same_network_reproduces_its_golden_vectors(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    assert check_golden(network, (copied / "yunet" / GOLDEN_FILE).read_bytes()) == pytest.approx(1, abs=1e-6)


def test_the_cosine_is_taken_over_the_whole_array() -> None:
    # (1, 2, 2) and (2, 1, 2) have length 3 and product 8.
    assert cosine(np.array([[1.0], [2.0], [2.0]]), np.array([2.0, 1.0, 2.0])) == pytest.approx(8 / 9)
