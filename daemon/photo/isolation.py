"""The daemon's side of decoding in other processes: hands photos over in shared memory, takes pixels back.

Whatever a photo does to its decoder, the answer is a refusal of that photo, and the next photo gets a fresh process.
Helpers that have decoded a photo well, or refused it by its header, stay for the next one.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np

from daemon.errors import DeviceError, InvalidPhotoType
from daemon.photo.order import Decoded, Order
from daemon.photo.process import MESSAGE_BYTES_MAX, READY, REFUSALS, STAYS, Bounds

_STARTS_MAX = 3
"""Templates tried for one photo: one may have been ended from outside, three in a row are a fault of the device."""

_KEPT_BYTES = 8 << 20
"""At most, of the memory for pixels, from one photo to the next: 2.8 megapixels. To get it anew from the system, page
by page, takes a third as long as to decode the photo."""

_CODE = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork; numpy would start some
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_MMAP_THRESHOLD_": str(20 << 20),  # what a large photo took is given back, what a small one took stays warm
    "MALLOC_TRIM_THRESHOLD_": str(24 << 20),
    "MALLOC_PERTURB_": str(0xFF),  # what is freed is overwritten: it held parts of photos
}
"""All of it: nothing that the daemon was given is for these processes. Source of the last three: glibc, mallopt(3)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Largest:
    """The largest photo that is decoded.

    Attributes:
        photo_bytes: of the file.
        side_px: of the photo's width and height.
    """

    photo_bytes: int
    side_px: int


class DecoderProcesses:
    """Decodes each photo in another process; called by any number of threads. The processes end with this object.

    As many photos are decoded at once as there are cores: more would take memory, and time from those that began.

    Attributes:
        lost: how many processes ended over a photo.

    Args:
        bounds: what decoding one photo may take.
        largest: the largest photo that is decoded.
    """

    def __init__(self, bounds: Bounds, largest: Largest) -> None:
        self._bounds = bounds
        self._largest = largest
        self._turn = threading.Semaphore(len(os.sched_getaffinity(0)))
        self._starting = threading.Lock()
        self._idle: list[_Helper] = []
        self._template = _Template(bounds)
        self.lost = 0

    def decode(self, photo: memoryview, order: Order) -> Decoded:
        """The photo's pixels; see `daemon.photo.decoding.decode`, which runs in the other process.

        Raises:
            InvalidPhotoType: as there; also where decoding takes too much work or memory, or ends its process.
            InvalidPhotoSize: as there.
            DeviceError: no process can be started.
        """
        with self._turn:
            return self._decode(photo, order)

    def _decode(self, photo: memoryview, order: Order) -> Decoded:
        for _ in range(_STARTS_MAX):
            helper, began = self._helper(), time.monotonic()
            try:
                return helper.decode(photo, order)
            except _Ended:
                self.lost += 1
                # Too little time to have been ended for its work: somebody else may have ended it. Once more, then.
                if time.monotonic() - began >= self._bounds.work_s:
                    break
            finally:
                self._put_back(helper)
        raise InvalidPhotoType("its decoder took too much work, or failed")

    def _put_back(self, helper: _Helper) -> None:
        if helper.stays:
            self._idle.append(helper)  # the one used last is used next: its memory is the warmest
        else:
            helper.close()

    def close(self) -> None:
        """End all processes."""
        while self._idle:
            self._idle.pop().close()
        self._template.close()

    @property
    def template(self) -> int:
        """Process id of the template."""
        return self._template.process.pid

    def _helper(self) -> _Helper:
        """An idle helper that is alive, or else a new one."""
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                helper = self._idle.pop()
                if not _has_ended(helper.orders):
                    return helper
                helper.close()
        with self._starting:
            return self._new_helper()

    def _new_helper(self) -> _Helper:
        for _ in range(_STARTS_MAX):
            helper = _Helper(self._largest)
            if self._template.forked_for(helper):
                return helper
            helper.close()
            self._template.close()
            self._template = _Template(self._bounds)
        raise DeviceError("no process can be started that decodes photos", "Free memory, then restart faceverifyd.")


class _Ended(Exception):
    """A helper ended without an answer."""


class _Template:
    """The running template, and the socket on which it takes wishes for helpers."""

    def __init__(self, bounds: Bounds) -> None:
        self._wishes, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = (theirs.fileno(), bounds.memory_bytes, round(bounds.work_s * 1000))
        command = [sys.executable, "-m", "daemon.photo.process", *map(str, numbers)]
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                cwd=_CODE,
                env=_ENVIRONMENT,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libtiff writes there what it makes of damaged photos
            )
        self._end = weakref.finalize(self, _end_template, self._wishes, self.process)

    def forked_for(self, helper: _Helper) -> bool:
        """Whether there is a process for a helper now: false where the template has ended, or cannot fork."""
        try:
            with helper.theirs:
                socket.send_fds(self._wishes, [b"."], [helper.theirs.fileno(), *helper.memory])
            return helper.orders.recv(MESSAGE_BYTES_MAX) == READY
        except (BrokenPipeError, ConnectionResetError):
            return False

    def close(self) -> None:
        """End it."""
        self._end()


def _end_template(wishes: socket.socket, process: subprocess.Popen[bytes]) -> None:
    wishes.close()  # it ends when its socket closes
    process.wait()


class _Helper:
    """A process that decodes one photo after the other.

    Attributes:
        orders: the socket to it.
        theirs: its end, until it has it.
        memory: descriptors of the memory shared with it: the photo's, the pixels'. Between photos it is overwritten,
            and as large as the last photo and the most pixels so far, up to _KEPT_BYTES.
        stays: whether it is there for another photo.
    """

    def __init__(self, largest: Largest) -> None:
        self.orders, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.memory = (os.memfd_create("photo"), os.memfd_create("pixels"))
        self.stays = True
        self._kept = 0
        self._sizes = (largest.photo_bytes, 3 * largest.side_px**2)
        self._resize(*self._sizes)  # the process maps both before it is ready
        self._photo, self._pixels = (
            np.frombuffer(mmap.mmap(descriptor, size), np.uint8)
            for descriptor, size in zip(self.memory, self._sizes, strict=True)
        )
        self._end = weakref.finalize(self, _end_helper, (self.orders, self.theirs), self.memory)

    def decode(self, photo: memoryview, order: Order) -> Decoded:
        """The photo's pixels.

        Raises:
            InvalidPhotoType: the photo was refused.
            _Ended: the process ended.
            InvalidPhotoSize: the photo was refused.
        """
        self._resize(*self._sizes)  # what is never written to takes no memory
        self._photo[: len(photo)] = np.frombuffer(photo, np.uint8)
        written = 0
        try:
            answer = self._answer(dataclasses.replace(order, photo_bytes=len(photo)))
            width, height, reduction = map(int, answer.split())
            written = width * height * 3
            return Decoded(self._pixels[:written].copy().reshape(height, width, 3), reduction)
        finally:
            self._wipe(len(photo), written)

    def _wipe(self, photo_bytes: int, written: int) -> None:
        """Overwrite both memories, keep some of them for the next photo, and give the rest back."""
        # What a photo that did not decode has left is not known: nothing is kept then.
        self._kept = min(max(self._kept, written), _KEPT_BYTES) if written else 0
        self._photo[:photo_bytes] = 0
        self._pixels[: min(written, self._kept)] = 0
        self._resize(photo_bytes, self._kept)

    def _resize(self, *sizes: int) -> None:
        for descriptor, size in zip(self.memory, sizes, strict=True):
            os.ftruncate(descriptor, size)

    def _answer(self, order: Order) -> str:
        self.stays = False  # until it says so
        try:
            self.orders.send(order.packed())
            said = self.orders.recv(MESSAGE_BYTES_MAX)
        except (BrokenPipeError, ConnectionResetError):
            said = b""
        self.stays = said.startswith(STAYS)
        answer = said[len(STAYS) :].decode()
        name, _, reason = answer.partition(" ")
        if name in REFUSALS:
            raise REFUSALS[name](reason)
        if not answer:
            raise _Ended
        return answer

    def close(self) -> None:
        """End it. Its memory is given back when nobody has it any more."""
        self._end()


def _end_helper(sockets: tuple[socket.socket, ...], memory: tuple[int, ...]) -> None:
    for end in sockets:
        end.close()  # it ends when its socket closes
    for descriptor in memory:
        os.close(descriptor)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the process at the other end is gone."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
