"""Opens a sealed photo for as long as it takes to decode it, and wipes it whatever happens."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from daemon.errors import KeyRefused
from daemon.sealed.legacy import LegacyFormat, LegacyKey, wipe


class SealedFormat(Protocol):
    """One way of sealing a photo."""

    def open(self, text: str) -> bytearray:
        """The photo's bytes in a buffer the caller wipes; raises as `LegacyFormat.open` does."""


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


class Opener:
    """Step 1: sealed photo text to photo bytes.

    Attributes:
        warnings: what a technician should know of the formats in use, for doctor and the log at start.
    """

    def __init__(self, sealed_format: SealedFormat, warnings: tuple[str, ...]) -> None:
        self._format = sealed_format
        self.warnings = warnings

    def open(self, text: str) -> PlainPhoto:
        """The photo's bytes, for the length of a `with` block.

        Args:
            text: the sealed photo.

        Raises:
            InvalidArgument: the text is not in the format.
            SealedPhotoRefused: it does not open, whatever the reason.
        """
        return PlainPhoto(self._format.open(text))


def legacy_opener(key: LegacyKey, allow_published: bool) -> Opener:
    """An opener for the legacy format.

    Raises:
        KeyRefused: the key is the published one and the configuration does not allow it.
    """
    warnings = ["legacy format in use: its fixed IV protects photos weakly"]
    if key.published:
        if not allow_published:
            raise KeyRefused(
                "the legacy key or IV is the one that the vendor's manual prints: anyone can open the photos",
                "Give the installation its own key, in sealed.legacy_key; only for trying things out set "
                "sealed.allow_published_key: true.",
            )
        warnings.append("published default key in use: anyone who can read the network can open the photos")
    return Opener(LegacyFormat(key), tuple(warnings))
