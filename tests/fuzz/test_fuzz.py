"""A short campaign of hostile photos, the same in every run; the long one is `python -m tests.fuzz`."""

from __future__ import annotations

import os

import pytest

from daemon.app import make_decoder
from daemon.sealed.legacy import LegacyFormat
from tests.fuzz.bombs import bombs
from tests.fuzz.campaign import Campaign, Outcome, hostile_photos
from tools.extraction import LIMITS

_COUNT = int(os.environ.get("FUZZ_COUNT", "1500"))
_SEED = int(os.environ.get("FUZZ_SEED", "1"))
_GROWTH_MAX_MB = 64
"""What allocators and caches may add after the first chunk of photos, in which all bombs are."""


@pytest.fixture(scope="module")
def outcome(legacy: LegacyFormat) -> Outcome:
    """What came of the photos."""
    return Campaign(legacy, make_decoder(LIMITS)).run(_SEED, _COUNT, 2)


def test_each_photo_gets_a_code_of_the_contract(outcome: Outcome) -> None:
    assert outcome.faults == []
    assert set(outcome.codes) == {1000, 2003, 2005}
    assert outcome.codes.total() == _COUNT


def test_no_photo_needs_its_decoder_ended(outcome: Outcome) -> None:
    assert outcome.gave_up == [], "the structure of such a photo should be refused before it is decoded"


def test_memory_stays_as_it_is(outcome: Outcome) -> None:
    first, last = outcome.resident_mb[0], outcome.resident_mb[-1]
    assert sum(last) - sum(first) < _GROWTH_MAX_MB


def test_a_seed_gives_the_same_photos_again() -> None:
    count = len(bombs()) + 50
    assert list(hostile_photos(3, count)) == list(hostile_photos(3, count))
    assert list(hostile_photos(3, count))[-1] != list(hostile_photos(4, count))[-1]
