"""Each way of storing a photo says what it did, and Pillow as an independent reader shows the upright photo again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from daemon.photo.decoder import PhotoDecoder
from daemon.records import Bytes
from tests.conftest import SHARED_DATA
from tools.extraction import LIMITS
from tools.orientations import TAGGED, TURNED, UPRIGHT, Way

LANDMARKS = np.array([(40, 50), (60, 50), (50, 60), (43, 70), (57, 70)], np.float64)


@pytest.fixture(scope="module")
def upright() -> Bytes:
    """Four flat colours, one per quarter, 64 x 96 px: JPEG keeps them, and no turn or flip leaves them in place."""
    quarters = np.array([[(200, 30, 30), (30, 200, 30)], [(30, 30, 200), (220, 220, 60)]], np.uint8)
    return np.repeat(np.repeat(quarters, 32, axis=0), 48, axis=1)


@pytest.mark.parametrize("way", TAGGED, ids=lambda way: way.name)
def test_a_reader_that_follows_the_orientation_sees_the_upright_photo(way: Way, upright: Bytes) -> None:
    with Image.open(io.BytesIO(way.photo(upright))) as picture:
        assert picture.getexif()[0x0112] == way.orientation
        shown = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert np.abs(shown.astype(int) - upright).mean() < 5  # JPEG errs at the edges of the quarters


@pytest.mark.parametrize(("way", "turn_deg"), [(UPRIGHT, 0), *zip(TURNED, (90, 180, 270), strict=True)], ids=str)
def test_a_turned_photo_is_turned_and_says_nothing_of_it(way: Way, turn_deg: int, upright: Bytes) -> None:
    with Image.open(io.BytesIO(way.photo(upright))) as picture:
        assert 0x0112 not in picture.getexif()
        shown = np.asarray(picture.convert("RGB"))
    # Pillow too turns against the clock.
    expected = np.asarray(Image.fromarray(upright).rotate(turn_deg, expand=True))
    assert np.abs(shown.astype(int) - expected).mean() < 5


def test_the_eight_orientations_are_there_once_each() -> None:
    assert [way.orientation for way in TAGGED] == list(range(1, 9))


@pytest.mark.parametrize("way", [UPRIGHT, *TAGGED], ids=lambda way: way.name)
def test_a_face_that_a_reader_sees_upright_is_turned_right(way: Way) -> None:
    assert way.turned_right(LANDMARKS)
    assert not way.turned_right(-LANDMARKS)


@pytest.mark.parametrize(("way", "turns"), [*zip(TURNED, (1, 2, 3), strict=True)], ids=str)
def test_a_face_is_turned_right_where_the_photo_turned_it_and_nowhere_else(way: Way, turns: int) -> None:
    # A quarter turn against the clock takes a point (x, y) about the origin to (y, -x).
    turned = [LANDMARKS]
    for _ in range(3):
        turned.append(np.column_stack([turned[-1][:, 1], -turned[-1][:, 0]]))
    assert [way.turned_right(landmarks) for landmarks in turned] == [quarter == turns for quarter in range(4)]


@pytest.mark.shared_data
@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_photos_that_others_made_in_all_orientations_are_shown_alike(kind: str) -> None:
    # Source: Dave Perrett's EXIF orientation examples; 0 has no EXIF, 1 to 8 are stored in that orientation.
    shown = []
    for orientation in range(9):
        photo = (SHARED_DATA / "orientation" / f"{kind}_{orientation}.jpg").read_bytes()
        shown.append(PhotoDecoder(LIMITS).decode(memoryview(photo), auto_rotate=True).rgb.astype(np.int16))
    assert {one.shape for one in shown} == {shown[0].shape}
    assert max(np.abs(one - shown[0])[::8, ::8].mean() for one in shown) < 12
