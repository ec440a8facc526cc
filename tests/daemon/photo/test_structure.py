"""Files built to keep a decoder busy are told by their structure, ordinary ones are not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from daemon.errors import InvalidPhotoType
from daemon.photo.structure import BufferView, jpeg_scans, scan_marks, tiff_blocks, tiff_pixels
from tests.daemon.photo.photo_files import decoded, photo_file

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (96, 64, 3), np.uint8))


def _scan() -> bytes:
    """The head of one more scan and a byte of its data."""
    return b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10\x00"


def _tiff(side_px: int, tile: tuple[int, int], tiles: int) -> bytes:
    """A grey, tiled, deflated TIFF whose tiles all share the same few bytes. Source of the layout: TIFF 6.0."""
    packed = zlib.compress(bytes(256))
    fields = [(256, 4, [side_px]), (257, 4, [side_px]), (258, 3, [8]), (259, 3, [8]), (262, 3, [1]), (277, 3, [1])]
    fields += [(322, 4, [tile[0]]), (323, 4, [tile[1]]), (324, 4, [8] * tiles), (325, 4, [len(packed)] * tiles)]
    body, head = packed, b""
    for tag, kind, values in fields:
        raw = b"".join(struct.pack("<H" if kind == 3 else "<I", value) for value in values)
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", 8 + len(body))
        body += raw if len(raw) > 4 else b""
        head += struct.pack("<HHI", tag, kind, len(values)) + place
    directory = struct.pack("<H", len(fields)) + head + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


@pytest.mark.parametrize(("progressive", "scans"), [(False, {1}), (True, range(4, 15))])
def test_an_ordinary_jpeg_has_few_scans(progressive: bool, scans: range | set[int]) -> None:
    assert jpeg_scans(memoryview(photo_file("JPEG", NOISE, progressive=progressive)), 100) in scans


def test_every_scan_added_is_counted() -> None:
    photo = photo_file("JPEG", NOISE)
    assert jpeg_scans(memoryview(photo[:-2] + 7 * _scan() + photo[-2:]), 100) == 8


def test_counting_ends_beyond_what_matters() -> None:
    assert jpeg_scans(memoryview(photo_file("JPEG", NOISE)[:-2] + 500 * _scan()), 20) == 21


def test_a_thumbnail_s_scan_inside_a_segment_is_none_of_the_photo_s() -> None:
    thumbnail = photo_file("JPEG", NOISE.resize((16, 16)))
    segment = b"\xff\xe5" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    photo = photo_file("JPEG", NOISE)
    assert jpeg_scans(memoryview(photo[:2] + segment + photo[2:]), 100) == 1


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe0\xff"]
)
def test_a_damaged_jpeg_has_no_scan(damaged: bytes) -> None:
    assert jpeg_scans(memoryview(damaged.ljust(2, b"\0")), 100) == 0


def test_a_jpeg_of_many_scans_is_refused() -> None:
    photo = photo_file("JPEG", NOISE)
    with pytest.raises(InvalidPhotoType, match="more than 100 scans"):
        decoded(photo[:-2] + 101 * _scan() + photo[-2:])


def test_scan_marks_are_counted_anywhere() -> None:
    assert scan_marks(memoryview(b"\xff\xda..\xff\xda\xff")) == 2


@pytest.mark.parametrize(
    ("tags", "pixels"),
    # By hand: strips of 100 x 10; four tiles of 64 x 64 for 100 x 100; three planes of one strip count once each.
    [
        ({256: 100, 257: 100, 273: tuple(range(10)), 278: 10}, 10_000),
        ({256: 100, 257: 100, 273: 8}, 10_000),
        ({256: 100, 257: 100, 322: 64, 323: 64, 324: (1, 2, 3, 4)}, 16_384),
        ({256: 100, 257: 100, 277: 3, 284: 2, 273: (1, 2, 3)}, 10_000),
        ({256: 64, 257: 64, 322: 46_000, 323: 46_000, 324: 8}, 2_116_000_000),
        ({256: 5000, 257: 5000, 273: tuple(range(400)), 278: 4999}, 400 * 5000 * 4999),
    ],
)
def test_a_tiff_s_pixels_are_those_of_its_blocks(tags: dict[int, object], pixels: int) -> None:
    assert tiff_pixels(tags) == pixels


def test_blocks_are_counted_by_their_offsets() -> None:
    assert (tiff_blocks({324: (1, 2, 3)}), tiff_blocks({273: 8}), tiff_blocks({})) == (3, 1, 0)


def test_a_tiff_whose_tiles_are_far_larger_than_itself_is_refused() -> None:
    with pytest.raises(InvalidPhotoType, match="strips or tiles hold"):
        decoded(_tiff(64, (20_000, 20_000), 1))


def test_a_tiff_whose_tiles_are_a_little_larger_than_itself_is_not_told_apart() -> None:
    assert tiff_pixels(dict(Image.open(io.BytesIO(_tiff(64, (256, 256), 1))).tag_v2)) == 65_536  # type: ignore[attr-defined]


def test_a_view_reads_like_a_file() -> None:
    content = bytes(range(100))
    file, like = BufferView(memoryview(content)), io.BytesIO(content)
    for offset, whence, size in ((10, 0, 5), (3, 1, 7), (-4, 2, 100), (0, 0, -1)):
        assert (file.seek(offset, whence), file.read(size)) == (like.seek(offset, whence), like.read(size))
        assert file.tell() == like.tell()
