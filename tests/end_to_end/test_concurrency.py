"""Many terminals at once: each gets the answer to its own photos."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from PIL import ImageEnhance

from tests.end_to_end.conftest import Ask
from tests.end_to_end.contract import FIRST, without_request_id
from tests.end_to_end.photos import encoded, opened
from tests.running_daemon import RunningDaemon

Sealed = Callable[[bytes, bytes], dict[str, str]]
Expected = tuple[int, bytes]

_THREADS = 32
_ROUNDS = 6
_ATTEMPTS = 10


@pytest.fixture(scope="module")
def forms(small: dict[str, bytes], sealed: Sealed, bad_photos: dict[int, bytes]) -> list[dict[str, str]]:
    """Non-mated pairs, each with a score of its own, and a few that are refused, each in another way."""

    def variants(name: str) -> list[bytes]:
        picture = opened(small[name])
        return [encoded(ImageEnhance.Brightness(picture).enhance(level)) for level in (0.6, 0.9, 1.2, 1.5)]

    others = [photo for name in ("obama", "obama2", "obama3") for photo in variants(name)]
    compared = [sealed(one, other) for one, other in product(variants("biden")[:2], others)]
    refused = [sealed(bad, small["obama"]) for bad in bad_photos.values()]
    refused += [sealed(small["obama"], bad) for bad in bad_photos.values()]
    return [*compared, *refused, {FIRST: "AAAA"}, {}]


@pytest.fixture(scope="module")
def expected(daemon: RunningDaemon, forms: list[dict[str, str]]) -> list[Expected]:
    """The answers, asked for one at a time."""
    return [without_request_id(daemon.verify(form)) for form in forms]


def test_every_pair_has_a_score_of_its_own(expected: list[Expected]) -> None:
    compared = [answer for answer in expected if answer[0] == 200]
    assert len(set(compared)) == len(compared) == 24


def _answered(daemon: RunningDaemon, form: dict[str, str]) -> Expected:
    """What a terminal gets that asks again where the device has too much to do."""
    for _ in range(_ATTEMPTS):
        answer = daemon.verify(form)
        if answer.status != 503:
            break
    return without_request_id(answer)


def test_answers_asked_for_at_once_are_those_asked_for_one_at_a_time(
    daemon: RunningDaemon, forms: list[dict[str, str]], expected: list[Expected]
) -> None:
    order = list(range(len(forms))) * _ROUNDS
    random.Random(7).shuffle(order)  # noqa: S311 - which order does not matter
    with ThreadPoolExecutor(_THREADS) as threads:
        answers = list(threads.map(lambda number: _answered(daemon, forms[number]), order))
    assert [number for number, answer in zip(order, answers, strict=True) if answer != expected[number]] == []


def test_request_ids_given_at_once_are_all_different(ask: Ask, bad_photos: dict[int, bytes]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        answers = list(threads.map(lambda _number: ask(bad_photos[2005], bad_photos[2005]), range(200)))
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
