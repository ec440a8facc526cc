"""Stages of the pipeline over the site's real engines, and OpenCV's reading of the networks as an independent one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest

from daemon.app import Networks, load_networks, make_memory, make_opener, make_stages, watched_ring
from daemon.config import Config
from daemon.manifest import load_manifest
from daemon.pipeline import Pipeline, Stages
from daemon.records import Pixels
from tests.conftest import STATE
from tools.engines import source_network
from tools.witness import small_copy


@pytest.fixture(scope="session")
def networks(config: Config) -> Networks:
    """Both real networks on the CPU."""
    return load_networks(config.inference)


@pytest.fixture(scope="session")
def stages(config: Config, networks: Networks) -> Stages:
    """All stages as the daemon makes them."""
    return make_stages(config, networks, make_opener(config, watched_ring(config), make_memory(config)))


@pytest.fixture(scope="session")
def pipeline(stages: Stages) -> Pipeline:
    """The pipeline as the daemon makes it."""
    return Pipeline(stages, ThreadPoolExecutor(4))


@pytest.fixture(scope="session")
def photos(samples: dict[str, bytes]) -> dict[str, Pixels]:
    """The sample photos, decoded, their longer side 480 px."""
    return {name: small_copy(photo, 480) for name, photo in samples.items()}


@pytest.fixture(scope="session")
def opencv_detector(config: Config, site: object, tmp_path_factory: pytest.TempPathFactory) -> cv2.FaceDetectorYN:
    """OpenCV's own detector over the network as it is published; nothing of ours is in it."""
    path = _published(config, config.inference.detection, tmp_path_factory)
    return cv2.FaceDetectorYN.create(str(path), "", (320, 320), 0.6)


@pytest.fixture(scope="session")
def opencv_recogniser(config: Config, site: object, tmp_path_factory: pytest.TempPathFactory) -> cv2.FaceRecognizerSF:
    """OpenCV's own alignment and recognition over the network as it is published."""
    return cv2.FaceRecognizerSF.create(str(_published(config, config.inference.recognition, tmp_path_factory)), "")


def _published(config: Config, name: str, folders: pytest.TempPathFactory) -> Path:
    path = folders.mktemp(name) / "published.onnx"
    path.write_bytes(source_network(load_manifest(config.inference.networks / name), STATE / "cache"))
    return path
