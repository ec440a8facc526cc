"""What the detection network takes for faces, by arithmetic, and which of them counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from daemon.face.candidates import Candidates, decode_heads
from tests.daemon.face.networks import empty_heads


def _candidates(boxes: list[tuple[float, float, float, float]], confidences: list[float]) -> Candidates:
    """Faces whose first landmark's x is their number."""
    landmarks = np.zeros((len(boxes), 5, 2), np.float32)
    landmarks[:, 0, 0] = range(len(boxes))
    return Candidates(np.array(boxes, np.float32).reshape(-1, 4), landmarks, np.array(confidences, np.float32))


def _numbers(found: Candidates) -> list[int]:
    return [int(number) for number in found.landmarks[:, 0, 0]]


def _compared(boxes: list[tuple[float, float, float, float]], share: float = 0.83) -> list[int]:
    return _numbers(_candidates(boxes, [0.9] * len(boxes)).compared(np.array([100.0, 50.0]), share))


def test_a_cell_is_decoded_as_opencv_decodes_it() -> None:
    heads = empty_heads(1, 64, 96)
    cell = 5  # of the stride 16 head, 6 columns wide: column 5, row 0
    heads["cls_16"][0, cell], heads["obj_16"][0, cell] = 0.9, 0.4
    heads["bbox_16"][0, cell] = (0.5, 0.25, np.log(2), np.log(3))
    heads["kps_16"][0, cell] = range(10)
    (found,) = decode_heads(heads, 96, 0.5)
    # By hand: sqrt(0.9 0.4) = 0.6; centre ((5 + 0.5) 16, 0.25 16) = (88, 4); size (32, 48).
    np.testing.assert_allclose(found.confidences, [0.6], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [(72, -20, 32, 48)], rtol=1e-6)
    np.testing.assert_allclose(found.landmarks[0, :2], [(80, 16), (112, 48)], rtol=1e-6)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_the_rows_of_a_photo_that_is_not_square_are_told_apart(stride: int) -> None:
    heads = empty_heads(1, 64, 128)
    cell = 128 // stride  # the first of the second row
    heads[f"cls_{stride}"][0, cell] = heads[f"obj_{stride}"][0, cell] = 1
    (found,) = decode_heads(heads, 128, 0.5)
    np.testing.assert_allclose(found.boxes[0], (-stride / 2, stride / 2, stride, stride))


def test_each_photo_of_a_batch_has_its_own_faces() -> None:
    heads = empty_heads(3, 64, 64)
    heads["cls_32"][1, 0] = heads["obj_32"][1, 0] = 1
    assert [len(found) for found in decode_heads(heads, 64, 0.5)] == [0, 1, 0]


def test_confidences_beyond_1_are_clipped_and_too_low_ones_left_out() -> None:
    heads = empty_heads(1, 64, 64)
    heads["cls_32"][0, :, 0] = (1.2, -0.1, 0.3, 1.0)
    heads["obj_32"][0, :, 0] = (1.1, 0.9, 0.3, 0.36)
    (found,) = decode_heads(heads, 64, 0.6)
    np.testing.assert_allclose(found.confidences, [1.0, 0.6])


def test_of_overlapping_faces_the_most_confident_stays() -> None:
    # The first two share 90 of 110 columns: 0.82; the third is elsewhere.
    found = _candidates([(0, 0, 100, 100), (10, 0, 100, 100), (300, 0, 50, 50)], [0.8, 0.9, 0.7])
    assert sorted(_numbers(found.without_overlaps(0.3))) == [1, 2]


def test_no_faces_stay_no_faces() -> None:
    assert len(_candidates([], []).without_overlaps(0.3)) == 0


def test_the_largest_face_is_compared() -> None:
    assert _compared([(80, 30, 40, 40), (0, 0, 60, 60), (150, 0, 20, 20)]) == [1]


def test_of_faces_about_as_large_the_one_nearest_the_centre_is_compared() -> None:
    assert _compared([(0, 0, 44, 44), (80, 30, 40, 40), (160, 0, 42, 42)]) == [1]


def test_about_as_large_includes_its_own_limit() -> None:
    assert _compared([(0, 0, 100, 100), (60, 10, 80, 80)], share=0.8) == [1]
    assert _compared([(0, 0, 100, 100), (60, 10, 79, 79)], share=0.8) == [0]


def test_size_is_the_geometric_mean_of_both_sides() -> None:
    # 10 x 90 is as large as 30 x 30, and smaller than 40 x 40.
    assert _compared([(0, 0, 10, 90), (60, 0, 40, 40)], share=1.0) == [1]


def _central(boxes: list[tuple[float, float, float, float]], confidences: list[float]) -> list[int]:
    found: list[npt.NDArray[np.float64]] = _candidates(boxes, confidences).central(320)
    return [int(landmarks[0, 0]) for landmarks in found]


def test_a_close_look_takes_the_face_in_the_middle() -> None:
    # The neighbour is 64 px off the middle and loses 0.2.
    assert _central([(174, 110, 100, 100), (110, 110, 100, 100)], [0.95, 0.8]) == [1]


def test_a_close_look_prefers_a_far_more_confident_face() -> None:
    assert _central([(174, 110, 100, 100), (110, 110, 100, 100)], [0.95, 0.7]) == [0]


def test_a_face_a_quarter_off_the_middle_is_not_the_one_looked_at() -> None:
    assert _central([(190, 110, 100, 100)], [1.0]) == []


def test_cells_that_see_one_face_are_heard_together_by_confidence() -> None:
    # Of the union of both, the second shares 0.82 with the first, and the third, which is smaller, 0.25.
    boxes = [(110.0, 110.0, 100.0, 100.0), (120.0, 110.0, 100.0, 100.0), (135.0, 135.0, 50.0, 50.0)]
    (landmarks,) = _candidates(boxes, [0.9, 0.6, 0.8]).central(320)
    assert landmarks[0, 0] == pytest.approx((0.9 * 0 + 0.6 * 1) / 1.5)


def test_a_close_look_at_nothing_sees_nothing() -> None:
    assert _central([], []) == []
