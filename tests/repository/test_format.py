"""The vectors in FORMAT.md open as it says."""

from __future__ import annotations

import re

import pytest

from daemon.sealed.legacy import LegacyFormat
from tests.conftest import REPOSITORY

FORMAT = (REPOSITORY / "daemon" / "sealed" / "FORMAT.md").read_text("utf-8")
VECTORS = re.findall(r"^\| (?:`([^`]*)`|\(empty\)) \| `([A-Za-z0-9+/=]+)` \|$", FORMAT, re.MULTILINE)


def test_there_are_two_vectors() -> None:
    assert len(VECTORS) == 2


@pytest.mark.parametrize(("photo", "sealed"), VECTORS)
def test_a_vector_opens_to_its_photo(legacy: LegacyFormat, photo: str, sealed: str) -> None:
    assert bytes(legacy.open(sealed)) == photo.encode()


@pytest.mark.parametrize(("photo", "sealed"), VECTORS)
def test_a_photo_seals_to_its_vector(legacy: LegacyFormat, photo: str, sealed: str) -> None:
    assert legacy.seal(photo.encode()) == sealed
