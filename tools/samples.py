"""Sample photos: four official portraits of two heads of state, in the public domain.

They come from the source archive of the package face_recognition 1.3.0, pinned by hash, and stay in the cache: they
are never installed and never committed.
"""

from __future__ import annotations

from pathlib import Path

from tools.fetch import fetch_archive, read_member

_REQUIREMENT = "face_recognition==1.3.0"
_ARCHIVE_SHA256 = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
_FOLDER = "face_recognition-1.3.0/tests/test_images"
_PHOTOS_SHA256 = {
    "obama": "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    "obama2": "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
    "obama3": "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    "biden": "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
}
"""Source: SHA-256 of the archive as the package index lists it, and of its members as they are."""


def sample_photos(cache: Path) -> dict[str, bytes]:
    """The sample photos' bytes (JPEG) by name: obama, obama2, obama3, biden.

    Raises:
        DownloadFailed: they are neither in the cache nor to be had.
    """
    archive = sample_archive(cache)
    return {name: read_member(archive, f"{_FOLDER}/{name}.jpg", pin) for name, pin in _PHOTOS_SHA256.items()}


def sample_archive(cache: Path) -> Path:
    """The archive that the sample photos come from.

    Raises:
        DownloadFailed: it is neither in the cache nor to be had.
    """
    return fetch_archive(_REQUIREMENT, _ARCHIVE_SHA256, cache)
