"""Alignment: landmarks where the recognition network was taught to look, like OpenCV's own alignment."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from daemon.face.alignment import PLACES, align
from daemon.face.geometry import apply, similarity
from daemon.pipeline import Stages
from daemon.records import Face, Pixels


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden"])
def test_a_face_is_aligned_as_opencv_aligns_it(
    stages: Stages, photos: dict[str, Pixels], opencv_recogniser: cv2.FaceRecognizerSF, name: str
) -> None:
    face = stages.detector.detect(photos[name], auto_rotate=False)
    row = np.concatenate([face.box, face.landmarks.ravel(), [face.confidence]]).astype(np.float32)
    theirs = opencv_recogniser.alignCrop(np.ascontiguousarray(photos[name].rgb[..., ::-1]), row)[..., ::-1]
    assert np.abs(align(photos[name], face).rgb.astype(int) - theirs).mean() < 1.0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_gives_an_upright_crop(stages: Stages, photos: dict[str, Pixels], turns: int) -> None:
    upright = photos["biden"]
    face = stages.detector.detect(upright, auto_rotate=False)
    height, width = upright.rgb.shape[:2]
    # np.rot90 takes a pixel at (x, y) to (y, width - 1 - x); by hand, once per turn.
    landmarks = face.landmarks
    for side in (width, height, width)[:turns]:
        landmarks = np.stack([landmarks[:, 1], side - 1 - landmarks[:, 0]], axis=1)
    turned = Pixels(np.ascontiguousarray(np.rot90(upright.rgb, turns)))
    away = align(turned, Face(face.box.copy(), landmarks, 1.0)).rgb.astype(int) - align(upright, face).rgb
    assert np.abs(away).mean() < 1.0


def test_landmarks_at_their_places_need_no_change() -> None:
    crop = np.random.default_rng(3).integers(0, 256, (112, 112, 3), np.uint8)
    face = Face(np.array([0, 0, 112, 112], np.float32), np.array(PLACES, np.float32), 1.0)
    # The landmarks are float32, so that sampling may be off by a hair.
    np.testing.assert_allclose(align(Pixels(crop.copy()), face).rgb[1:-1, 1:-1], crop[1:-1, 1:-1], atol=2)


def test_the_subject_s_right_eye_is_on_the_crop_s_left(stages: Stages, photos: dict[str, Pixels]) -> None:
    face = stages.detector.detect(photos["obama"], auto_rotate=False)
    right_eye, left_eye = apply(similarity(face.landmarks, PLACES), face.landmarks[:2])
    assert right_eye[0] < 56 < left_eye[0]
