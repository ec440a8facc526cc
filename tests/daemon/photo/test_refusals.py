"""Refused photos: sizes beyond the limits, other types, and whatever is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from daemon.errors import InvalidContentLength, InvalidPhotoSize, InvalidPhotoType
from tests.daemon.photo.photo_files import HEADERS_THAT_CLAIM, SCENE, decoded, photo_file, written_by_opencv


@pytest.mark.parametrize("size", [(8, 8), (5000, 8), (8, 5000)])
def test_the_sides_at_the_limits_are_accepted(size: tuple[int, int]) -> None:
    assert decoded(photo_file("PNG", Image.new("1", size))).shape[1::-1] == size


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (5001, 8), (8, 5001), (1, 1)])
def test_a_side_beyond_the_limits_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidPhotoSize):
        decoded(photo_file("PNG", Image.new("1", size)))


@pytest.mark.parametrize("photo", HEADERS_THAT_CLAIM.values(), ids=HEADERS_THAT_CLAIM)
def test_a_bomb_is_refused_from_its_header(photo: bytes) -> None:
    assert len(photo) < 2000
    with pytest.raises(InvalidPhotoSize, match="65535 x 65535"):  # decoding would have found that pixels are missing
        decoded(photo)


def test_no_bytes_are_refused_by_length() -> None:
    with pytest.raises(InvalidContentLength):
        decoded(b"")


def test_a_photo_of_5_mib_decodes_and_one_byte_more_is_refused() -> None:
    photo = written_by_opencv(".bmp", SCENE).ljust(
        5 * 1024 * 1024, b"\0"
    )  # what stands behind a BMP's pixels is not read
    assert decoded(photo).shape == SCENE.shape
    with pytest.raises(InvalidContentLength):
        decoded(photo + b"\0")


@pytest.mark.parametrize(
    "photo",
    [
        b"\0",
        b"not a photo at all, but text",
        bytes(1000),
        b"\xff\xd8\xff",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        photo_file("WEBP"),
        photo_file("PPM"),
        photo_file("ICO"),
    ],
)
def test_another_type_is_refused(photo: bytes) -> None:
    with pytest.raises(InvalidPhotoType):
        decoded(photo)


# Pillow warns of some damage before it raises; daemon.wsgi silences these warnings, and so do the tests below.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_a_truncated_photo_is_refused(kind: str) -> None:
    photo = photo_file(kind, Image.effect_noise((64, 64), 80))
    for kept in (len(photo) // 4, len(photo) // 2, len(photo) * 3 // 4):
        with pytest.raises(InvalidPhotoType):
            decoded(photo[:kept])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_a_damaged_photo_decodes_or_is_refused_and_nothing_else(kind: str) -> None:
    photo, random = photo_file(kind), np.random.default_rng(7)
    refused = 0
    for at in random.integers(0, len(photo), 300):
        damaged = bytearray(photo)
        damaged[at] = random.integers(0, 256)
        try:
            assert decoded(bytes(damaged)).dtype == np.uint8
        except (InvalidPhotoType, InvalidPhotoSize):
            refused += 1
    assert refused > 0


def test_a_refusal_does_not_quote_the_decoder() -> None:
    with pytest.raises(InvalidPhotoType) as refused:
        decoded(photo_file("PNG")[:-20])
    assert str(refused.value) == "the photo does not decode"
    assert refused.value.__suppress_context__
