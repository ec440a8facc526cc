"""Known photos get known scores, and a device on which they do not is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from daemon.app import Networks, load_networks, make_detector, make_recogniser
from daemon.config import Config
from daemon.errors import EngineRefused
from daemon.records import Bytes, Pixels
from daemon.score.calibration import Calibration, load_calibration
from daemon.self_test import KnownPhotos, KnownScores, Scores, known_photos, known_scores, prove


@pytest.fixture(scope="module")
def networks(config: Config) -> Networks:
    return load_networks(config.inference)


@pytest.fixture(scope="module")
def calibration(config: Config, networks: Networks) -> Calibration:
    path = config.inference.networks / config.inference.recognition / "calibration.yaml"
    return load_calibration(path, networks.detection.model_hash, networks.recognition.model_hash)


@pytest.fixture(scope="module")
def scores(networks: Networks, calibration: Calibration) -> Scores:
    return known_scores(make_detector(networks), make_recogniser(networks), calibration)


@pytest.fixture(scope="module")
def photos(networks: Networks) -> KnownPhotos:
    return known_photos(networks.detection)


def test_the_known_photos_get_the_scores_that_they_should(scores: Scores, photos: KnownPhotos) -> None:
    found = prove(scores, photos)
    # Source: the cosines 0.9639 and 0.0767, through the table of knots in trt_engines/sface/calibration.yaml.
    assert found.mated == 1.0
    assert found.non_mated == pytest.approx(0.321, abs=0.01)


def test_the_photos_are_those_of_the_samples(photos: KnownPhotos, samples: dict[str, bytes]) -> None:
    assert photos.first.rgb.shape == (320, 320, 3)
    assert np.array_equal(photos.first.rgb[:, ::-1], photos.mirrored.rgb)
    reds, blues = (float(photos.first.rgb[..., channel].mean()) for channel in (0, 2))
    assert samples["obama"]
    assert reds > blues, "skin is red in RGB"


def _grey(photos: KnownPhotos) -> KnownPhotos:
    empty: Bytes = np.full((320, 320, 3), 128, np.uint8)
    return dataclasses.replace(photos, second=Pixels(empty))


def test_a_known_photo_without_a_face_refuses_the_device(scores: Scores, photos: KnownPhotos) -> None:
    with pytest.raises(EngineRefused, match="the known photos are refused") as refused:
        prove(scores, _grey(photos))
    assert "fvctl engines build" in refused.value.remedy


def test_two_people_who_score_like_one_refuse_the_device(scores: Scores, photos: KnownPhotos) -> None:
    with pytest.raises(EngineRefused, match=r"the non-mated pair 1\.0000"):
        prove(scores, dataclasses.replace(photos, second=photos.first))


def test_one_person_who_scores_like_two_refuses_the_device(scores: Scores, photos: KnownPhotos) -> None:
    with pytest.raises(EngineRefused, match=r"the mated pair scores 0\.3"):
        prove(scores, dataclasses.replace(photos, mirrored=photos.second))


@pytest.mark.parametrize(
    ("mated", "non_mated", "right"),
    [(0.71, 0.49, True), (0.7, 0.49, False), (0.9, 0.5, False), (float("nan"), 0.1, False), (0.9, float("nan"), False)],
)
def test_scores_are_right_only_on_their_own_side(mated: float, non_mated: float, right: bool) -> None:
    assert KnownScores(mated, non_mated).right is right


def test_a_network_that_did_not_prove_itself_has_no_photos(networks: Networks) -> None:
    golden = networks.detection.golden
    networks.detection.golden = None
    try:
        with pytest.raises(EngineRefused, match="no golden vectors"):
            known_photos(networks.detection)
    finally:
        networks.detection.golden = golden
