"""JPEG: every kind that cameras and programs write decodes to what OpenCV reads; other kinds get a code."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from daemon.errors import InvalidPhotoType
from daemon.photo.decoder import REDUCTION_MAX
from daemon.photo.jpeg import draw
from tests.daemon.photo.photo_files import DECODER, Rgb, decoded, photo_file

_SMOOTH = cv2.resize(np.random.default_rng(7).integers(0, 256, (6, 9, 3), np.uint8), (203, 131))
PHOTO = Image.fromarray(np.asarray(_SMOOTH, np.uint8))
CMYK = Image.merge("CMYK", [*Image.eval(PHOTO, lambda value: 255 - value).split(), Image.new("L", PHOTO.size)])
_ADOBE = b"\xff\xee\x00\x0eAdobe"


def _seen_by_opencv(photo: bytes) -> Rgb:
    seen = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(seen, np.uint8)[..., ::-1]


def _by_opencv(*parameters: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.asarray(PHOTO)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95, *parameters])[1])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"subsampling": "4:1:1"},
        {"subsampling": "4:2:0", "progressive": True},
        {"restart_marker_blocks": 1},
        {"restart_marker_rows": 1},
        {"optimize": True},
        {"keep_rgb": True},
    ],
)
def test_every_kind_that_pillow_writes_decodes(options: dict[str, Any]) -> None:
    photo = photo_file("JPEG", PHOTO, quality=95, **options)
    np.testing.assert_allclose(decoded(photo), _seen_by_opencv(photo), atol=2)
    assert np.abs(decoded(photo).astype(int) - np.asarray(PHOTO)).mean() < 3


@pytest.mark.parametrize("factors", [0x411111, 0x420000, 0x211111, 0x221111, 0x121111, 0x111111])
@pytest.mark.parametrize("progressive", [0, 1])
def test_every_subsampling_that_opencv_writes_decodes(factors: int, progressive: int) -> None:
    try:
        photo = _by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    except cv2.error:
        pytest.skip("not a subsampling that OpenCV writes")
    np.testing.assert_allclose(decoded(photo), _seen_by_opencv(photo), atol=2)


def test_grey_decodes() -> None:
    grey = PHOTO.convert("L")
    photo = photo_file("JPEG", grey, quality=95)
    np.testing.assert_allclose(decoded(photo), np.asarray(grey.convert("RGB")), atol=4)


def test_cmyk_and_ycck_of_adobe_decode() -> None:
    photo = photo_file("JPEG", CMYK, quality=97)
    assert _ADOBE in photo
    assert np.abs(decoded(photo).astype(int) - np.asarray(PHOTO)).mean() < 2


def test_cmyk_without_adobe_s_marker_is_stored_inverted_too() -> None:
    # Source: what OpenCV, ImageMagick and browsers do with a file of its own, unlike PDF with a stream inside.
    photo = photo_file("JPEG", CMYK, quality=97)
    at = photo.index(_ADOBE)
    without = photo[:at] + photo[at + 16 :]
    assert np.abs(decoded(without).astype(int) - np.asarray(PHOTO)).mean() < 2
    assert np.abs(decoded(without).astype(int) - _seen_by_opencv(without)).mean() < 2


def _frame_header(photo: bytes, kind: int, bits: int = 8) -> bytes:
    """The photo, its frame header of another kind. Source: ITU-T T.81, table B.1 and section B.2.2."""
    at = photo.index(b"\xff\xc0")
    return photo[: at + 1] + bytes([kind]) + photo[at + 2 : at + 4] + bytes([bits]) + photo[at + 5 :]


@pytest.mark.parametrize(
    ("kind", "bits"),
    [(0xC1, 12), (0xC3, 8), (0xC5, 8), (0xC7, 8), (0xCB, 8)],
    ids=["12 bits", "lossless", "differential", "differential lossless", "arithmetic lossless"],
)
def test_a_kind_that_the_decoder_does_not_know_is_refused(kind: int, bits: int) -> None:
    with pytest.raises(InvalidPhotoType):
        decoded(_frame_header(photo_file("JPEG", PHOTO), kind, bits))


@pytest.mark.parametrize("behind", [b"", b"\0" * 1000, b"\xff\xd8\xff", b"%PDF-1.7", b"PK\x03\x04"])
def test_what_stands_behind_the_photo_is_not_read(behind: bytes) -> None:
    photo = photo_file("JPEG", PHOTO)
    np.testing.assert_array_equal(decoded(photo + behind), decoded(photo))


def _at_most(photo: bytes, reduction: int, auto_rotate: bool = False) -> tuple[int, tuple[int, ...]]:
    pixels = DECODER.decode(memoryview(photo), auto_rotate, reduction)
    return pixels.reduction, pixels.rgb.shape[:2]


@pytest.mark.parametrize(
    ("size", "most", "reduction", "shape"),
    # By hand: the side of a square of as many pixels stays at least 640 px; sides are rounded up.
    [
        ((5000, 5000), 8, 4, (1250, 1250)),
        ((5000, 3001), 8, 4, (751, 1250)),
        ((4999, 4000), 8, 4, (1000, 1250)),
        ((2500, 656), 8, 2, (328, 1250)),
        ((2500, 655), 8, 1, (655, 2500)),
        ((2499, 2499), 8, 2, (1250, 1250)),
        ((1280, 1280), 8, 2, (640, 640)),
        ((1280, 1279), 8, 1, (1279, 1280)),
        ((5000, 5000), 2, 2, (2500, 2500)),
        ((5000, 5000), 3, 2, (2500, 2500)),
        ((5000, 5000), 1, 1, (5000, 5000)),
        ((250, 250), 8, 1, (250, 250)),
    ],
)
def test_a_large_photo_is_reduced_as_far_as_its_pixels_allow(
    size: tuple[int, int], most: int, reduction: int, shape: tuple[int, int]
) -> None:
    assert _at_most(photo_file("JPEG", Image.new("L", size)), most) == (reduction, shape)


def _drawn(photo: bytes, times: int) -> Rgb | None:
    """What `draw` writes into memory that holds something else; None where it says that it did not."""
    width, height = (-(-side // times) for side in Image.open(io.BytesIO(photo)).size)
    stored = np.full((height, width, 3), 77, np.uint8)
    return stored if draw(memoryview(photo), stored) else None


@pytest.mark.parametrize("times", [1, 2, 4, 8])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"keep_rgb": True}])
def test_what_is_drawn_is_what_pillow_decodes(times: int, options: dict[str, Any]) -> None:
    photo = photo_file("JPEG", PHOTO, quality=95, **options)
    by_pillow = Image.open(io.BytesIO(photo))
    by_pillow.draft(None, (by_pillow.width // times, by_pillow.height // times))
    np.testing.assert_array_equal(_drawn(photo, times), np.asarray(by_pillow))


def test_grey_is_drawn_in_three_colours() -> None:
    photo = photo_file("JPEG", PHOTO.convert("L"))
    np.testing.assert_array_equal(_drawn(photo, 1), np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")))


def test_pixels_are_drawn_in_the_order_of_the_memory() -> None:
    photo = photo_file("JPEG", PHOTO)
    turned = np.zeros((PHOTO.width, PHOTO.height, 3), np.uint8)
    assert draw(memoryview(photo), turned.transpose(1, 0, 2)[:, ::-1])
    np.testing.assert_array_equal(turned.transpose(1, 0, 2)[:, ::-1], _drawn(photo, 1))


@pytest.mark.parametrize(
    "photo",
    [
        photo_file("JPEG", PHOTO)[:-40],
        photo_file("JPEG", PHOTO).replace(b"\xff\xd9", b"\0\0\0\xff\xd9"),
        b"\xff\xd8\xff",
        b"",
    ],
    ids=["short", "bytes too many", "a beginning", "nothing"],
)
def test_what_is_not_wholly_sound_is_not_drawn(photo: bytes) -> None:
    assert not draw(memoryview(photo), np.zeros((PHOTO.height, PHOTO.width, 3), np.uint8))


def test_a_reduced_photo_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = photo_file("JPEG", Image.new("L", (5000, 3000)), exif=exif)
    assert _at_most(photo, 8) == (4, (750, 1250))
    assert _at_most(photo, 8, auto_rotate=True) == (4, (1250, 750))


def test_a_reduced_photo_shows_what_the_whole_one_shows() -> None:
    large = PHOTO.resize((1600, 1032), Image.Resampling.BICUBIC)
    photo = photo_file("JPEG", large, quality=95)
    whole, reduced = decoded(photo), DECODER.decode(memoryview(photo), False, REDUCTION_MAX).rgb
    assert reduced.shape == (516, 800, 3)
    averaged = whole.reshape(516, 2, 800, 2, 3).mean(axis=(1, 3))
    assert np.abs(averaged - reduced).mean() < 1


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_other_formats_are_not_reduced(kind: str) -> None:
    assert _at_most(photo_file(kind, Image.new("L", (2500, 8))), 8) == (1, (8, 2500))


def test_a_picture_in_the_exif_data_is_not_the_photo() -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 16)).save(thumbnail, "JPEG")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = thumbnail.getvalue()
    photo = photo_file("JPEG", PHOTO, exif=exif)
    assert decoded(photo).shape == (131, 203, 3)
