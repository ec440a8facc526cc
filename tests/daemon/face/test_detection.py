"""Detection: where OpenCV sees the face, whichever way the photo is turned, and which of several."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from daemon.app import Networks
from daemon.errors import DetectionFailed
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.face.network import Network
from daemon.manifest import Detection, Preprocessing
from daemon.pipeline import Stages
from daemon.records import Bytes, Face, Pixels
from daemon.score.comparison import compare
from tests.conftest import SHARED_DATA
from tests.daemon.face.networks import Faceless, OneFaceThenNone, Watched

NAMES = ["obama", "obama2", "obama3", "biden"]
PLAIN = Preprocessing("RGB", 0.0, 1.0)
SETTINGS = Detection(
    first_look_px=320,
    distant_look_px=640,
    close_look_px=320,
    close_look_scales=(1.4, 1.6),
    about_as_large=0.83,
    upright_confidence_min=0.92,
    confidence_min=0.6,
    overlap_max=0.3,
)


def _turned(pixels: Pixels, turns: int) -> Pixels:
    return Pixels(np.ascontiguousarray(np.rot90(pixels.rgb, turns)))


def _black(width: int, height: int) -> Pixels:
    return Pixels(np.zeros((height, width, 3), np.uint8))


def _doubled(network: Network) -> FaceDetector:
    return FaceDetector(network, PLAIN, SETTINGS)


def _watched(networks: Networks) -> tuple[FaceDetector, Watched]:
    manifest = networks.detection.manifest
    assert manifest.detection is not None
    network = Watched(networks.detection)
    return FaceDetector(network, manifest.preprocessing, manifest.detection), network


def _head(stages: Stages, pixels: Pixels, face_px: int) -> Bytes:
    """The face and what is around it, scaled so that the face's box has this geometric mean of its sides."""
    box = stages.detector.detect(pixels, auto_rotate=False).box
    left, top, width, height = (int(value) for value in box)
    cut = pixels.rgb[max(0, top - height // 2) : top + height * 3 // 2, max(0, left - width // 2) : left + 2 * width]
    scale = face_px / float(np.sqrt(box[2] * box[3]))
    return np.asarray(cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _side_by_side(*heads: Bytes) -> tuple[Pixels, list[int]]:
    """Heads in a row on grey, and where each begins, its end included."""
    height = max(head.shape[0] for head in heads)
    rows = [np.pad(head, ((0, height - head.shape[0]), (0, 0), (0, 0)), constant_values=128) for head in heads]
    edges = np.cumsum([0, *(head.shape[1] for head in heads)])
    return Pixels(np.concatenate(rows, axis=1)), [int(edge) for edge in edges]


def _whose(face: Face, edges: list[int]) -> int:
    return int(np.searchsorted(edges, face.landmarks[2, 0])) - 1


def _opencv_row(detector: cv2.FaceDetectorYN, rgb: Bytes) -> npt.NDArray[np.float32]:
    detector.setInputSize((rgb.shape[1], rgb.shape[0]))
    (row,) = detector.detect(np.ascontiguousarray(rgb[..., ::-1]))[1]
    return np.asarray(row, np.float32)


def _opencv_landmarks(detector: cv2.FaceDetectorYN, rgb: Bytes) -> npt.NDArray[np.float64]:
    """The mean of what OpenCV says of the face from close up and of its mirror image, cut out by plain slicing."""
    box = _opencv_row(detector, rgb)[:4]
    side = int(1.5 * box[2:].max())
    left, top = (int(value) for value in box[:2] + box[2:] / 2 - side / 2)
    padded = cv2.copyMakeBorder(rgb, side, side, side, side, cv2.BORDER_CONSTANT)
    close = cv2.resize(padded[top + side : top + 2 * side, left + side : left + 2 * side], (320, 320))
    straight, mirrored = (
        _opencv_row(detector, np.asarray(shown, np.uint8))[4:14].reshape(5, 2) for shown in (close, close[:, ::-1])
    )
    back = np.stack([319 - mirrored[:, 0], mirrored[:, 1]], axis=1)[[1, 0, 2, 4, 3]]
    return np.asarray((straight + back) / 2 * side / 320 + (left, top), np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_landmarks_are_where_opencv_sees_them_from_close_up(
    stages: Stages, photos: dict[str, Pixels], opencv_detector: cv2.FaceDetectorYN, name: str
) -> None:
    theirs = _opencv_landmarks(opencv_detector, photos[name].rgb)
    ours = stages.detector.detect(photos[name], auto_rotate=False).landmarks
    between_eyes = np.linalg.norm(theirs[0] - theirs[1])
    assert np.linalg.norm(ours - theirs, axis=1).max() < 0.08 * between_eyes  # frames that differ by a few pixels


@pytest.mark.parametrize("name", NAMES)
def test_the_box_is_about_opencv_s_box(
    stages: Stages, photos: dict[str, Pixels], opencv_detector: cv2.FaceDetectorYN, name: str
) -> None:
    theirs = _opencv_row(opencv_detector, photos[name].rgb)[:4]  # at 480 px; ours comes from 320 px
    face = stages.detector.detect(photos[name], auto_rotate=False)
    np.testing.assert_allclose(face.box, theirs, atol=0.12 * theirs[2:].max())


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_turned_photo_gives_the_same_person(stages: Stages, photos: dict[str, Pixels], name: str, turns: int) -> None:
    upright, turned = photos[name], _turned(photos[name], turns)
    crops = [align(pixels, stages.detector.detect(pixels, auto_rotate=True)) for pixels in (upright, turned)]
    first, second = stages.recogniser.embed(crops)
    assert compare(first, second) > 0.95


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["001_03", "127_08", "140_03"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_large_turned_portrait_gives_the_same_person(stages: Stages, name: str, turns: int) -> None:
    photo = (SHARED_DATA / "london" / f"{name}.jpg").read_bytes()
    pixels = stages.decoder.decode(memoryview(photo), auto_rotate=False)
    crops = [align(one, stages.detector.detect(one, auto_rotate=True)) for one in (pixels, _turned(pixels, turns))]
    first, second = stages.recogniser.embed(crops)
    assert compare(first, second) > 0.95


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_s_face_is_given_in_its_own_pixels(
    stages: Stages, photos: dict[str, Pixels], turns: int
) -> None:
    upright = photos["biden"]
    height, width = upright.rgb.shape[:2]
    right_eye = stages.detector.detect(upright, auto_rotate=False).landmarks[0]
    for side in (width, height, width)[:turns]:  # np.rot90 takes a pixel at (x, y) to (y, width - 1 - x)
        right_eye = np.array([right_eye[1], side - 1 - right_eye[0]])
    face = stages.detector.detect(_turned(upright, turns), auto_rotate=True)
    # The close looks are framed by a box from a smaller copy: 2.5 px are 1/20 of the way from eye to eye.
    np.testing.assert_allclose(face.landmarks[0], right_eye, atol=2.5)
    left, top, box_width, box_height = face.box
    assert left < right_eye[0] < left + box_width
    assert top < right_eye[1] < top + box_height


def test_an_upright_photo_is_the_same_with_auto_rotate(stages: Stages, photos: dict[str, Pixels]) -> None:
    plain, asked = (stages.detector.detect(photos["obama"], auto_rotate=asked) for asked in (False, True))
    np.testing.assert_array_equal(plain.landmarks, asked.landmarks)


@pytest.mark.parametrize("name", NAMES)
def test_without_auto_rotate_nothing_is_shown_to_the_network_turned(
    networks: Networks, photos: dict[str, Pixels], name: str
) -> None:
    detector, network = _watched(networks)
    pixels = _turned(photos[name], 1)
    try:
        detector.detect(pixels, auto_rotate=False)
    except DetectionFailed:
        assert len(network.shown) <= 2  # the first look and the distant look
    # A turned photo of these would be a portrait; all whole looks must be landscapes as the photo is.
    whole = [batch.shape for batch in network.shown if len(batch) == 1]
    assert whole != []
    assert all(height < width for _, _, height, width in whole)


def test_with_auto_rotate_all_four_ways_are_looked_at() -> None:
    network = Faceless()
    with pytest.raises(DetectionFailed):
        _doubled(network).detect(_black(320, 160), auto_rotate=True)
    # The first look; then small copies, each way and its reverse in one batch; then copies of the first look's size.
    small, large = [(2, 3, 96, 192), (2, 3, 192, 96)], [(2, 3, 160, 320), (2, 3, 320, 160)]
    assert [batch.shape for batch in network.shown] == [(1, 3, 160, 320), *small, *large]


def test_where_no_copy_shows_a_face_the_turned_photo_is_looked_at_from_afar_too() -> None:
    network = Faceless()
    with pytest.raises(DetectionFailed):
        _doubled(network).detect(_black(1000, 500), auto_rotate=True)
    assert [batch.shape for batch in network.shown[-2:]] == [(2, 3, 320, 640), (2, 3, 640, 320)]


def test_no_face_is_a_failed_detection(stages: Stages) -> None:
    for auto_rotate in (False, True):
        with pytest.raises(DetectionFailed):
            stages.detector.detect(_black(300, 200), auto_rotate)


def test_noise_has_no_face(stages: Stages) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (200, 300, 3), np.uint8)
    with pytest.raises(DetectionFailed):
        stages.detector.detect(Pixels(noise), auto_rotate=True)


@pytest.mark.parametrize("size", [(8, 8), (8, 600), (600, 8), (33, 65)])
def test_the_smallest_and_thinnest_photos_are_looked_at(stages: Stages, size: tuple[int, int]) -> None:
    with pytest.raises(DetectionFailed):
        stages.detector.detect(_black(*size), auto_rotate=True)


def test_the_largest_of_several_faces_is_compared(stages: Stages, photos: dict[str, Pixels]) -> None:
    pixels, edges = _side_by_side(
        _head(stages, photos["obama2"], 60), _head(stages, photos["biden"], 70), _head(stages, photos["obama"], 110)
    )
    assert _whose(stages.detector.detect(pixels, auto_rotate=False), edges) == 2


def test_of_faces_about_as_large_the_one_nearest_the_middle_is_compared(
    stages: Stages, photos: dict[str, Pixels]
) -> None:
    pixels, edges = _side_by_side(
        _head(stages, photos["obama2"], 106), _head(stages, photos["biden"], 100), _head(stages, photos["obama"], 106)
    )
    assert _whose(stages.detector.detect(pixels, auto_rotate=False), edges) == 1


def test_a_face_that_only_the_distant_look_sees_is_found(stages: Stages, photos: dict[str, Pixels]) -> None:
    head = _head(stages, photos["obama"], 30)
    wall = np.full((1100, 1280, 3), 128, np.uint8)
    wall[600 : 600 + head.shape[0], 900 : 900 + head.shape[1]] = head
    x, y = stages.detector.detect(Pixels(wall), auto_rotate=False).landmarks[2]
    assert 900 < x < 900 + head.shape[1]
    assert 600 < y < 600 + head.shape[0]


def _looks(size: tuple[int, int]) -> list[tuple[int, ...]]:
    network = Faceless()
    with pytest.raises(DetectionFailed):
        _doubled(network).detect(_black(*size), auto_rotate=False)
    return [batch.shape for batch in network.shown]


def test_a_photo_is_looked_at_in_blocks_of_32_px() -> None:
    # 1000 x 500 px: 320 x 160, then 640 x 320; both multiples of 32. 990 x 330: 320 x 107 and 640 x 213, made up.
    assert _looks((1000, 500)) == [(1, 3, 160, 320), (1, 3, 320, 640)]
    assert _looks((990, 330)) == [(1, 3, 128, 320), (1, 3, 224, 640)]


def test_a_photo_no_larger_than_the_first_look_gets_no_distant_look() -> None:
    assert _looks((320, 320)) == [(1, 3, 320, 320)]


FACE: npt.NDArray[np.float64] = np.array([(-0.4, -0.4), (0.4, -0.4), (0, 0), (-0.3, 0.4), (0.3, 0.4)])


@pytest.mark.parametrize(("width", "reduction", "looks"), [(400, 2, 1), (640, 2, 2), (400, 1, 2)])
def test_a_reduced_photo_is_not_enlarged_to_look_for_a_distant_face(width: int, reduction: int, looks: int) -> None:
    network = Faceless()
    with pytest.raises(DetectionFailed):
        _doubled(network).find(Pixels(np.zeros((width, width, 3), np.uint8), reduction), auto_rotate=False)
    assert [batch.shape[3] for batch in network.shown] == [320, 640][:looks]


def test_a_face_that_no_close_look_sees_stays_as_the_first_look_saw_it() -> None:
    # A photo of 640 x 320 px is seen at half its size. Cell 13 of ten columns: corner at (96, 32), face 64 x 64 around
    # it; in the photo (192, 64) and 128 x 128. One cell is 64 px of the photo.
    face = _doubled(OneFaceThenNone(13, FACE)).detect(_black(640, 320), auto_rotate=False)
    np.testing.assert_allclose(face.box, (128, 0, 128, 128), rtol=1e-5)
    np.testing.assert_allclose(face.landmarks, FACE * 64 + (192, 64), rtol=1e-5)
    assert face.confidence == 1.0


def test_a_face_upside_down_counts_as_it_is_where_no_turn_finds_a_better_one() -> None:
    face = _doubled(OneFaceThenNone(13, -FACE)).detect(_black(640, 320), auto_rotate=True)
    np.testing.assert_allclose(face.landmarks, FACE * -64 + (192, 64), rtol=1e-5)
