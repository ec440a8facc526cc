"""A loaded network: right from several threads, and honest about what it is after a failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from daemon.app import Networks
from daemon.errors import EngineRefused
from daemon.inference.engine import load_engine
from daemon.inference.network import open_network
from tests.conftest import REPOSITORY
from tests.daemon.inference.copies import CPU, MANIFEST, golden, npz


@pytest.mark.parametrize("model", [b"", b"no model", bytes(1000)])
def test_what_is_no_model_does_not_load(model: bytes) -> None:
    with pytest.raises(EngineRefused, match="network yunet: the network does not load on cpu"):
        open_network(model, MANIFEST, CPU)


def test_a_failed_run_marks_the_network_until_one_succeeds(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    with pytest.raises(EngineRefused, match="network yunet failed"):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert network.failed
    network.run(np.zeros((1, 3, 64, 64), np.float32))
    assert not network.failed


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_no_output(copied: Path, value: float) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    with pytest.raises(EngineRefused, match="no number"):
        network.run(np.full((1, 3, 64, 64), value, np.float32))
    assert network.failed
    assert network.works()


def test_a_network_that_failed_works_again_once_its_golden_vectors_agree(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    with pytest.raises(EngineRefused):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert network.works()
    assert not network.failed


def test_a_network_that_failed_does_not_work_while_it_computes_something_else(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    wanted = golden(copied)
    network.golden = npz(wanted | {"kps_16": wanted["kps_16"] + wanted["kps_16"].std()})
    with pytest.raises(EngineRefused):
        network.run(np.zeros((1, 4, 64, 64), np.float32))
    assert not network.works()


def test_a_network_still_proves_itself_after_its_files_are_gone(copied: Path) -> None:
    network = load_engine(copied, MANIFEST, CPU)
    shutil.rmtree(copied)
    assert network.reproduces()


def test_several_threads_get_what_one_gets(networks: Networks) -> None:
    batch = np.random.default_rng(1).uniform(0, 255, (1, 3, 320, 320)).astype(np.float32)
    alone = networks.detection.run(batch)["kps_8"]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(networks.detection.run, [batch] * 8):
            np.testing.assert_array_equal(found["kps_8"], alone)


def test_nothing_is_reported_to_the_makers_of_onnxruntime(tmp_path: Path) -> None:
    # It keeps what it is about to send below the home folder; where CI is set it would not report in any case.
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    opened = "import daemon.inference; import onnxruntime; onnxruntime.SessionOptions()"
    subprocess.run([sys.executable, "-c", opened], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
