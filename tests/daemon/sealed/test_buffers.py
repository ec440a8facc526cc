"""An opened photo can be read in its block, and is zeros after it."""

from __future__ import annotations

import pytest

from daemon.sealed.buffers import PlainPhoto, wipe


def test_in_the_block_the_photo_can_be_read() -> None:
    with PlainPhoto(bytearray(b"photo")) as photo:
        assert bytes(photo) == b"photo"


def test_after_the_block_the_photo_is_zeros() -> None:
    with PlainPhoto(bytearray(b"photo")) as photo:
        pass
    assert bytes(photo) == bytes(5)


def test_after_a_block_that_raised_the_photo_is_zeros() -> None:
    with pytest.raises(LookupError), PlainPhoto(bytearray(b"photo")) as photo:
        raise LookupError
    assert bytes(photo) == bytes(5)


def test_the_photo_cannot_be_written() -> None:
    with PlainPhoto(bytearray(b"photo")) as photo, pytest.raises(TypeError, match="read-only"):
        photo[0] = 1


def test_an_opened_photo_shows_its_size_only() -> None:
    assert repr(PlainPhoto(bytearray(b"photo"))) == "PlainPhoto(5 bytes)"


@pytest.mark.parametrize("size", [0, 1, 5, 65536, 65537, 200_000])  # blocks of 65,536 are wiped at a time
def test_wiping_overwrites_all_of_it_in_place(size: int) -> None:
    buffer = bytearray(b"x" * size)
    view = memoryview(buffer)
    wipe(buffer)
    assert bytes(view) == bytes(size)
