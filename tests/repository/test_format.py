"""The vectors in FORMAT.md open as it says."""

from __future__ import annotations

import re

import pytest

from daemon.sealed.jwe import JweFormat
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import REPOSITORY
from tests.vectors.cases import KEYS, TERMINAL, opening_keys

FORMAT = (REPOSITORY / "daemon" / "sealed" / "FORMAT.md").read_text("utf-8")
VECTORS = re.findall(r"^\| (?:`([^`]*)`|\(empty\)) \| `([A-Za-z0-9+/=]+)` \|$", FORMAT, re.MULTILINE)
JWE_VECTORS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([A-Za-z0-9_.-]+)` \|$", FORMAT, re.MULTILINE)


def test_there_is_a_jwe_vector_for_every_kind_of_key() -> None:
    assert [kid for kid, _, _ in JWE_VECTORS] == list(KEYS)


@pytest.mark.parametrize(("kid", "photo", "sealed"), JWE_VECTORS)
def test_a_jwe_vector_opens_to_its_photo_with_its_key_alone(kid: str, photo: str, sealed: str) -> None:
    assert JweFormat(None).open(sealed, {kid: opening_keys()[kid]}, TERMINAL) == photo.encode()


def test_there_are_two_vectors() -> None:
    assert len(VECTORS) == 2


@pytest.mark.parametrize(("photo", "sealed"), VECTORS)
def test_a_vector_opens_to_its_photo(legacy: LegacyFormat, photo: str, sealed: str) -> None:
    assert bytes(legacy.open(sealed)) == photo.encode()


@pytest.mark.parametrize(("photo", "sealed"), VECTORS)
def test_a_photo_seals_to_its_vector(legacy: LegacyFormat, photo: str, sealed: str) -> None:
    assert legacy.seal(photo.encode()) == sealed
