"""A photo can take its decoder with it, and nothing else: each is answered, and the next one is decoded."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.errors import InvalidPhotoSize, InvalidPhotoType
from daemon.photo.decoding import decode
from daemon.photo.isolation import DecoderProcesses, Largest
from daemon.photo.order import Order
from daemon.photo.process import Bounds
from tests.daemon.photo.bmp_files import RLE8, Bmp
from tests.daemon.photo.photo_files import HEADERS_THAT_CLAIM, SCENE, chunk, photo_file, png

ORDER = Order(8, 5000, 0, 1, 1250)
LARGEST = Largest(5 << 20, 5000)
GOOD = photo_file("PNG")
BUSY = Bmp(5000, 5000, 8, b"\0\2\0\0" * 550_000 + b"\0\1", stored=RLE8).file()
"""Keeps a decoder busy for a tenth of a second at least."""

HUGE = photo_file("PNG", Image.new("RGBA", (5000, 5000)))
"""Takes 100 MB to decode."""


@pytest.fixture
def decoders() -> Iterator[DecoderProcesses]:
    made = DecoderProcesses(Bounds(400 << 20, 30.0), LARGEST)
    yield made
    made.close()


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _gone(process: int) -> bool:
    """Whether a process ends within a while."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_another_process_gives_what_this_one_would(decoders: DecoderProcesses, kind: str) -> None:
    photo = memoryview(photo_file(kind, Image.fromarray(SCENE).resize((300, 200))))
    np.testing.assert_array_equal(decoders.decode(photo, ORDER).rgb, decode(photo, ORDER).rgb)


def test_a_reduction_comes_back_with_the_pixels(decoders: DecoderProcesses) -> None:
    photo = memoryview(photo_file("JPEG", Image.new("L", (5000, 2501), 99)))
    decoded = decoders.decode(photo, Order(8, 5000, 0, 8, 884))
    assert (decoded.reduction, decoded.rgb.shape) == (4, (626, 1250, 3))


def test_refusals_come_back_as_they_were_raised(decoders: DecoderProcesses) -> None:
    with pytest.raises(InvalidPhotoType, match=r"^not a photo of a supported format$"):
        decoders.decode(memoryview(b"text"), ORDER)
    with pytest.raises(InvalidPhotoSize, match=r"^5001 x 8 px; 8 to 5000 px are allowed$"):
        decoders.decode(memoryview(photo_file("PNG", Image.new("1", (5001, 8)))), ORDER)


def test_the_same_helper_takes_the_next_photo(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    (helper,) = _children(decoders.template)
    decoders.decode(memoryview(GOOD), ORDER)
    assert _children(decoders.template) == [helper]


def test_a_photo_refused_by_its_header_costs_no_helper(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    (helper,) = _children(decoders.template)
    for photo in (b"text", *HEADERS_THAT_CLAIM.values()):
        with pytest.raises((InvalidPhotoType, InvalidPhotoSize)):
            decoders.decode(memoryview(photo), ORDER)
    assert _children(decoders.template) == [helper]


def test_after_a_damaged_photo_the_next_one_gets_a_fresh_helper(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    (helper,) = _children(decoders.template)
    with pytest.raises(InvalidPhotoType):
        decoders.decode(memoryview(GOOD[:-20]), ORDER)
    assert _gone(helper)
    decoders.decode(memoryview(GOOD), ORDER)
    assert helper not in _children(decoders.template)


def test_photos_at_the_same_time_get_their_own_pixels(decoders: DecoderProcesses) -> None:
    pictures = [Image.new("RGB", (60 + number, 50), (number, 0, 0)) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: decoders.decode(memoryview(photo_file("PNG", one)), ORDER).rgb, pictures))
    assert [rgb.shape[1] - 60 for rgb in found] == [int(rgb[0, 0, 0]) for rgb in found] == list(range(24))


def test_too_much_work_ends_the_decoder_and_refuses_the_photo() -> None:
    decoders = DecoderProcesses(Bounds(400 << 20, 0.05), LARGEST)
    with pytest.raises(InvalidPhotoType, match="too much work"):
        decoders.decode(memoryview(BUSY), ORDER)
    lost = decoders.lost
    assert lost >= 1
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape
    assert decoders.lost == lost
    decoders.close()


def test_too_much_memory_refuses_the_photo() -> None:
    decoders = DecoderProcesses(Bounds(50 << 20, 30.0), LARGEST)
    with pytest.raises(InvalidPhotoType, match=r"its decoder|does not decode"):
        decoders.decode(memoryview(HUGE), ORDER)
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape
    decoders.close()


def test_a_helper_that_is_ended_from_outside_costs_no_photo(decoders: DecoderProcesses) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(decoders.decode, memoryview(BUSY), ORDER)
        while not _children(decoders.template):
            assert not answer.done()
        os.kill(_children(decoders.template)[0], signal.SIGSEGV)
        assert answer.result(30).rgb.shape == (5000, 5000, 3)
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape


def test_an_idle_helper_that_dies_costs_no_photo(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    (helper,) = _children(decoders.template)
    os.kill(helper, signal.SIGKILL)
    assert _gone(helper)
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape


def test_a_template_that_dies_is_replaced(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    first = decoders.template
    (helper,) = _children(first)
    os.kill(first, signal.SIGKILL)
    assert _gone(first)
    assert _gone(helper), "a helper ends with its template"
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape
    assert decoders.template != first


def test_all_processes_end_with_their_owner() -> None:
    decoders = DecoderProcesses(Bounds(400 << 20, 30.0), LARGEST)
    decoders.decode(memoryview(GOOD), ORDER)
    processes = [decoders.template, *_children(decoders.template)]
    del decoders
    assert all(_gone(process) for process in processes)


def test_processes_end_when_the_worker_is_killed() -> None:
    report, theirs = socket.socketpair()
    worker = os.fork()
    if worker == 0:  # the least that a killed worker can do is nothing
        decoders = DecoderProcesses(Bounds(400 << 20, 30.0), LARGEST)
        decoders.decode(memoryview(GOOD), ORDER)
        theirs.send(" ".join(map(str, [decoders.template, *_children(decoders.template)])).encode())
        signal.pause()
    with report, theirs:
        processes = list(map(int, report.recv(100).split()))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        assert len(processes) == 2
        assert all(_gone(process) for process in processes)


def _shared() -> dict[int, bytes]:
    """What memory holds that is shared with helpers, by number; other tests' helpers may still be there."""
    contents = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor that lists the folder
            if "memfd:" in str(path.readlink()):
                contents[path.stat().st_ino] = path.read_bytes()
    return contents


@pytest.fixture
def others() -> set[int]:
    """Shared memory that was there before."""
    return set(_shared())


def test_what_was_shared_is_overwritten(others: set[int], decoders: DecoderProcesses) -> None:
    photo = photo_file("PNG", Image.new("RGB", (500, 500), "red"))
    decoders.decode(memoryview(photo), ORDER)
    kept = [content for number, content in _shared().items() if number not in others]
    assert sorted(map(len, kept)) == [len(photo), 500 * 500 * 3]
    assert not any(map(any, kept))


def test_a_smaller_photo_leaves_the_memory_of_a_larger_one_to_the_next(
    others: set[int], decoders: DecoderProcesses
) -> None:
    for side_px in (500, 100):
        photo = photo_file("PNG", Image.new("RGB", (side_px, side_px), "red"))
        decoders.decode(memoryview(photo), ORDER)
    kept = [content for number, content in _shared().items() if number not in others]
    assert max(map(len, kept)) == 500 * 500 * 3
    assert not any(map(any, kept))


def test_what_a_large_photo_took_is_given_back(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(photo_file("PNG", Image.new("RGB", (3000, 3000), "red"))), ORDER)
    assert max(map(len, _shared().values())) == 8 << 20
    assert not any(map(any, _shared().values()))


def test_what_a_refused_photo_left_is_given_back(decoders: DecoderProcesses) -> None:
    with pytest.raises(InvalidPhotoType):
        decoders.decode(memoryview(GOOD[: len(GOOD) // 2]), ORDER)
    assert not any(map(any, _shared().values()))


def test_processes_take_photos_while_the_daemon_is_told_to_stop(decoders: DecoderProcesses) -> None:
    decoders.decode(memoryview(GOOD), ORDER)
    for process in (decoders.template, *_children(decoders.template)):
        os.kill(process, signal.SIGTERM)
        os.kill(process, signal.SIGINT)
    assert decoders.decode(memoryview(GOOD), ORDER).rgb.shape == SCENE.shape


def test_text_that_says_too_much_is_not_in_a_refusal(decoders: DecoderProcesses) -> None:
    with pytest.raises(InvalidPhotoType) as refused:
        decoders.decode(memoryview(png((8, 8), (8, 0), b"", chunk(b"tEXt", b"a\0secret"))), ORDER)
    assert "secret" not in str(refused.value)
