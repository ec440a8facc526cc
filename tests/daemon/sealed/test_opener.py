"""Opening a photo for the length of a block, and what is said of weak keys."""

from __future__ import annotations

import pytest

from daemon.errors import KeyRefused, SealedPhotoRefused
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey
from daemon.sealed.opener import Opener, legacy_opener

OWN = LegacyKey(b"an installation's own 32 bytes!!", b"own 12 bytes")
PUBLISHED = LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode())


@pytest.fixture
def opener() -> Opener:
    """An opener with the installation's own key."""
    return legacy_opener(OWN, allow_published=False)


def test_in_the_block_the_photo_can_be_read(opener: Opener) -> None:
    with opener.open(LegacyFormat(OWN).seal(b"photo")) as photo:
        assert bytes(photo) == b"photo"


def test_after_the_block_the_photo_is_zeros(opener: Opener) -> None:
    with opener.open(LegacyFormat(OWN).seal(b"photo")) as photo:
        pass
    assert bytes(photo) == bytes(5)


def test_after_a_block_that_raised_the_photo_is_zeros(opener: Opener) -> None:
    with pytest.raises(LookupError), opener.open(LegacyFormat(OWN).seal(b"photo")) as photo:
        raise LookupError
    assert bytes(photo) == bytes(5)


def test_the_photo_cannot_be_written(opener: Opener) -> None:
    with opener.open(LegacyFormat(OWN).seal(b"photo")) as photo, pytest.raises(TypeError, match="read-only"):
        photo[0] = 1


def test_an_opened_photo_shows_its_size_only(opener: Opener) -> None:
    assert repr(opener.open(LegacyFormat(OWN).seal(b"photo"))) == "PlainPhoto(5 bytes)"


def test_a_photo_under_another_key_is_refused(opener: Opener) -> None:
    with pytest.raises(SealedPhotoRefused):
        opener.open(LegacyFormat(PUBLISHED).seal(b"photo"))


def test_the_legacy_format_always_warns(opener: Opener) -> None:
    assert opener.warnings == ("legacy format in use: its fixed IV protects photos weakly",)


def test_the_published_key_is_refused_unless_allowed() -> None:
    with pytest.raises(KeyRefused, match="anyone can open the photos"):
        legacy_opener(PUBLISHED, allow_published=False)


def test_the_refusal_of_the_published_key_names_the_switch() -> None:
    with pytest.raises(KeyRefused) as refused:
        legacy_opener(PUBLISHED, allow_published=False)
    assert "sealed.allow_published_key" in refused.value.remedy
    assert PUBLISHED_KEY not in str(refused.value)


def test_the_published_key_warns_once_more_where_it_is_allowed() -> None:
    assert [text for text in legacy_opener(PUBLISHED, allow_published=True).warnings if "published" in text] != []
