"""The processes that photos are decoded in: `python -m daemon.photo.process SOCKET MEMORY_BYTES MILLISECONDS`.

A template that has loaded the decoders forks a helper whenever the daemon wants one more; it never looks into a photo
itself. A helper takes one photo after the other from memory that it shares with the daemon, and writes the pixels into
such memory. The kernel ends it where a photo takes too much work; more memory, or a file, it does not get. Where pixels
did not decode it ends by itself, so that nothing damaged meets the next photo.

All of them end when the daemon's ends of their sockets close, or with the daemon itself.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import resource
import signal
import socket
import sys
import warnings
from dataclasses import dataclass

import numpy as np

from daemon.errors import InvalidPhotoSize, InvalidPhotoType
from daemon.photo import pictures
from daemon.photo.decoding import decode
from daemon.photo.order import Order
from daemon.records import Bytes

REFUSALS = {error.__name__: error for error in (InvalidPhotoSize, InvalidPhotoType)}
"""What a helper can refuse a photo with, by the name it answers."""

MESSAGE_BYTES_MAX = 512
"""The longest order or answer."""

READY = b"ready"
"""The first that a helper says: from then on, what ends it is the photo."""

STAYS, ENDS = b"+", b"-"
"""How an answer begins: whether the helper is there for another photo."""

_DESCRIPTORS = ("socket", "photo", "pixels")
"""What comes with the wish for a helper, in this order."""

_WAIT_FACTOR = 20
"""A photo may take so many times its seconds of work by the clock on the wall: others need the cores too."""

_SET_DEATH_SIGNAL, _SET_DUMPABLE = 1, 4
"""Source: Linux, `include/uapi/linux/prctl.h`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What decoding one photo may take.

    Attributes:
        memory_bytes: beyond what a helper has when it begins, and the pixels that it hands over.
        work_s: seconds of work.
    """

    memory_bytes: int
    work_s: float


def main(arguments: list[str]) -> None:
    """Fork helpers until the socket closes."""
    descriptor, memory_bytes, milliseconds = map(int, arguments)
    bounds = Bounds(memory_bytes, milliseconds / 1000)
    warnings.simplefilter("ignore")  # decoders warn of what they read in photos
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the helpers
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # photos are still decoded while the daemon drains
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _end_with_parent()
    pictures.load_decoders()
    gc.collect()
    gc.freeze()  # so that a helper's collector does not write into the pages it shares with the template
    with socket.socket(fileno=descriptor) as wishes:
        while _fork_for(wishes, bounds):
            pass


def _end_with_parent() -> None:
    """End when the parent ends, and let nobody of the same account read this memory."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _fork_for(wishes: socket.socket, bounds: Bounds) -> bool:
    """Take one wish for a helper and fork; false where there will be none any more."""
    wish, descriptors, _, _ = socket.recv_fds(wishes, MESSAGE_BYTES_MAX, len(_DESCRIPTORS))
    if not wish:
        return False
    if os.fork() == 0:
        wishes.close()
        _help(descriptors, bounds)
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _help(descriptors: list[int], bounds: Bounds) -> None:
    """Be a helper; the process ends whatever happens."""
    try:
        _end_with_parent()
        orders = socket.socket(fileno=descriptors[0])
        photo, pixels = (np.frombuffer(mmap.mmap(descriptor, 0), np.uint8) for descriptor in descriptors[1:])
        photo.flags.writeable = False
        _bind(bounds)
        orders.send(READY)
        while _obey(orders, photo, pixels, bounds):
            pass
    finally:
        os._exit(0)


def _bind(bounds: Bounds) -> None:
    """No more memory and files than a photo may take."""
    with open("/proc/self/status", encoding="ascii") as status:
        held_kb = next(int(line.split()[1]) for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (held_kb * 1024 + bounds.memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # what is open stays open, and nothing else can be opened


def _obey(orders: socket.socket, photo: Bytes, pixels: Bytes, bounds: Bounds) -> bool:
    """Decode one photo; whether the helper is as good as new for the next."""
    message = orders.recv(MESSAGE_BYTES_MAX)
    if not message:
        return False
    # The default action of both signals ends the process, also inside a decoder.
    signal.setitimer(signal.ITIMER_PROF, bounds.work_s)
    signal.setitimer(signal.ITIMER_REAL, bounds.work_s * _WAIT_FACTOR)
    order, canvas = Order.unpacked(message), _Canvas(pixels)
    answer, decoded = _answer(photo.data[: order.photo_bytes], order, canvas)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    stays = decoded or not canvas.taken
    orders.send((STAYS if stays else ENDS) + answer.encode())
    return stays


class _Canvas:
    """Shared memory for pixels.

    Attributes:
        taken: whether it was asked for; a photo refused by then has met no decoder of pixels.
    """

    def __init__(self, pixels: Bytes) -> None:
        self._pixels = pixels
        self.taken = False

    def allocate(self, shape: tuple[int, int, int]) -> Bytes:
        """See daemon.photo.order.Allocate."""
        self.taken = True
        return self._pixels[: np.prod(shape)].reshape(shape)


def _answer(photo: memoryview, order: Order, canvas: _Canvas) -> tuple[str, bool]:
    """Width, height and reduction, or a refusal's name and text; and whether the photo was decoded."""
    try:
        done = decode(photo, order, canvas.allocate)
    except tuple(REFUSALS.values()) as refusal:
        return f"{type(refusal).__name__} {refusal}", False
    except MemoryError:
        canvas.taken = True
        return f"{InvalidPhotoType.__name__} its decoder took too much memory", False
    height, width, _ = done.rgb.shape
    return f"{width} {height} {done.reduction}", True


if __name__ == "__main__":
    main(sys.argv[1:])
