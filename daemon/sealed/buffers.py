"""Buffers that hold a photo or a key: ours alone, and overwritten when they have served."""

from __future__ import annotations

from types import TracebackType

_ZEROS = memoryview(bytes(1 << 16))


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    view = memoryview(buffer)  # in blocks: a second buffer as large may not be there when memory is short
    for start in range(0, len(buffer), len(_ZEROS)):
        end = min(start + len(_ZEROS), len(buffer))
        view[start:end] = _ZEROS[: end - start]


class PlainPhoto:
    """An opened photo: a block in which its bytes can be read, and after which they are zeros."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer

    def __enter__(self) -> memoryview:
        return memoryview(self._buffer).toreadonly()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wipe(self._buffer)

    def __repr__(self) -> str:
        return f"PlainPhoto({len(self._buffer)} bytes)"
