"""Portraits: like OpenCV's own embeddings, of length 1, in the order of the faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from daemon.errors import EngineRefused
from daemon.face.alignment import align
from daemon.face.recognition import Recogniser
from daemon.manifest import Preprocessing
from daemon.pipeline import Stages
from daemon.records import CROP_SIZE_PX, REGIONS, FaceCrop, Pixels
from tests.daemon.face.networks import Faceless, Fixed

PLAIN = Preprocessing("RGB", 0.0, 1.0)
NAMES = ["obama", "obama2", "obama3", "biden"]


@pytest.fixture(scope="module")
def crops(stages: Stages, photos: dict[str, Pixels]) -> dict[str, FaceCrop]:
    """The aligned faces of the sample photos."""
    return {name: align(pixels, stages.detector.detect(pixels, auto_rotate=False)) for name, pixels in photos.items()}


def _grey() -> FaceCrop:
    return FaceCrop(np.full((CROP_SIZE_PX, CROP_SIZE_PX, 3), 128, np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_an_embedding_is_opencv_s_embedding(
    stages: Stages, crops: dict[str, FaceCrop], opencv_recogniser: cv2.FaceRecognizerSF, name: str
) -> None:
    (portrait,) = stages.recogniser.embed([crops[name]])
    theirs = opencv_recogniser.feature(np.ascontiguousarray(crops[name].rgb[..., ::-1])).ravel()
    assert portrait.embedding @ theirs / np.linalg.norm(theirs) > 0.9999


def test_a_real_embedding_has_length_1(stages: Stages, crops: dict[str, FaceCrop]) -> None:
    for portrait in stages.recogniser.embed(list(crops.values())):
        assert np.linalg.norm(portrait.embedding.astype(np.float64)) == pytest.approx(1, abs=1e-6)


def test_a_face_s_portrait_does_not_depend_on_its_neighbours(stages: Stages, crops: dict[str, FaceCrop]) -> None:
    together = stages.recogniser.embed([crops[name] for name in NAMES])
    alone = [stages.recogniser.embed([crops[name]])[0] for name in NAMES]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)
        assert list(one.visible.values()) == pytest.approx(list(other.visible.values()), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_large_photo_decoded_smaller_has_the_same_embedding(
    stages: Stages, samples: dict[str, bytes], name: str
) -> None:
    small = np.asarray(cv2.imdecode(np.frombuffer(samples[name], np.uint8), cv2.IMREAD_COLOR))
    _, large = cv2.imencode(".jpg", cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    full, half = (stages.decoder.decode(memoryview(large.tobytes()), False, most) for most in (1, 2))
    assert (full.reduction, half.reduction) == (1, 2)
    crops = [align(pixels, stages.detector.detect(pixels, auto_rotate=False)) for pixels in (full, half)]
    one, other = stages.recogniser.embed(crops)
    assert one.embedding @ other.embedding >= 0.99


def test_portraits_come_in_the_order_of_the_faces() -> None:
    recogniser = Recogniser(Fixed([(3, 4), (0, 2)], [(0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8)]), PLAIN)
    first, second = recogniser.embed([_grey(), _grey()])
    np.testing.assert_allclose(first.embedding, (0.6, 0.8))  # 3, 4 and 5
    np.testing.assert_allclose(second.embedding, (0, 1))
    assert dict(first.visible) == pytest.approx(dict(zip(REGIONS, (0.1, 0.2, 0.3, 0.4), strict=True)))
    assert list(second.visible.values()) == pytest.approx([0.5, 0.6, 0.7, 0.8])


def test_a_portrait_keeps_nothing_of_the_batch() -> None:
    first, second = Recogniser(Fixed([(3, 4), (0, 2)], [(1,) * 4] * 2), PLAIN).embed([_grey(), _grey()])
    assert not np.shares_memory(first.embedding, second.embedding)
    assert first.embedding.base is None


def test_no_faces_give_no_portraits_and_no_run() -> None:
    network = Faceless()
    assert Recogniser(network, PLAIN).embed([]) == []
    assert network.shown == []


def test_an_embedding_of_nothing_is_refused() -> None:
    with pytest.raises(EngineRefused, match="says nothing"):
        Recogniser(Fixed([[0.0, 0.0]], [[1.0] * len(REGIONS)]), PLAIN).embed([_grey()])
