"""The same request always gets the same answer: one order of checks, one score per pair."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from daemon.api.verification import PATH
from daemon.sealed.legacy import TAG_BYTES, LegacyFormat
from tests.daemon.photo.photo_files import HEADERS_THAT_CLAIM
from tests.end_to_end.conftest import Ask
from tests.end_to_end.contract import FIRST, SECOND, check_compared, check_refused, without_request_id
from tests.fuzz.bombs import bombs
from tests.running_daemon import Answer, RunningDaemon

Sealed = Callable[[bytes, bytes], dict[str, str]]
Post = Callable[[RunningDaemon, dict[str, str]], Answer]

_BOUNDARY = "between-parts"
_CODES = (1200, 2003, 2004, 2005, 4000)
"""Codes that a photo alone can get, 4004 aside."""


def _form(daemon: RunningDaemon, fields: dict[str, str]) -> Answer:
    return daemon.verify(fields)


def _multipart(daemon: RunningDaemon, fields: dict[str, str]) -> Answer:
    part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = "".join(part % field for field in fields.items()) + f"--{_BOUNDARY}--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return daemon.request("POST", PATH, body.encode(), headers)


def _json(daemon: RunningDaemon, fields: dict[str, str]) -> Answer:
    """The same fields, booleans as real ones."""
    real: dict[str, str | bool] = {"true": True, "false": False}
    document = {name: real.get(value, value) for name, value in fields.items()}
    return daemon.request("POST", PATH, json.dumps(document).encode(), {"Content-Type": "application/json"})


_POSTS = pytest.mark.parametrize("post", [_form, _multipart, _json])


@pytest.fixture(scope="module")
def bad_texts(legacy: LegacyFormat, bad_photos: dict[int, bytes]) -> dict[int, str]:
    """For each code that a photo alone can get, what to send for it."""
    return {1200: "AAAA"} | {code: legacy.seal(photo) for code, photo in bad_photos.items()}


@pytest.mark.parametrize(("first", "second"), list(permutations(_CODES, 2)))
def test_two_bad_photos_get_the_answer_of_photo_one(
    daemon: RunningDaemon, bad_texts: dict[int, str], first: int, second: int
) -> None:
    answer = daemon.verify({FIRST: bad_texts[first], SECOND: bad_texts[second]})
    check_refused(answer, first, field=FIRST)


@pytest.fixture(scope="module")
def faults(bad_texts: dict[int, str], legacy: LegacyFormat, small: dict[str, bytes]) -> list[tuple[int, str]]:
    """Many ways to get each code that a photo alone can get, found early and late, cheaply and at some cost."""
    named = bombs()
    photos = [
        *((2003, header) for header in HEADERS_THAT_CLAIM.values()),
        (2005, small["obama"][: len(small["obama"]) // 2]),
        (2005, named["EXIF of 4,000 tags that share their bytes"][:-9]),
        (4000, named["largest JPEG"]),
    ]
    sealed = [(code, legacy.seal(photo)) for code, photo in photos]
    broken = bytearray(base64.b64decode(sealed[0][1]))
    broken[-1] ^= 1
    return [*bad_texts.items(), *sealed, (1200, "?"), (1200, base64.b64encode(broken).decode())]


def test_whatever_both_photos_lack_the_answer_is_photo_one_s(
    daemon: RunningDaemon, faults: list[tuple[int, str]]
) -> None:
    pairs = [(first, second) for first, second in permutations(faults, 2) if first[0] != second[0]]
    dice = random.Random(5)  # noqa: S311 - which flags are set does not matter
    flags = [{"auto_rotate": dice.choice("01"), "check_quality": dice.choice("01")} for _ in pairs]

    def asked(pair: tuple[tuple[int, str], tuple[int, str]], more: dict[str, str]) -> Answer:
        return daemon.verify({FIRST: pair[0][1], SECOND: pair[1][1]} | more)

    with ThreadPoolExecutor(4) as pool:
        for ((code, _), _), answer in zip(pairs, pool.map(asked, pairs, flags), strict=True):
            check_refused(answer, code, field=FIRST)


@pytest.mark.parametrize("code", _CODES)
def test_covered_face_in_photo_one_comes_before_a_bad_photo_two(
    daemon: RunningDaemon, legacy: LegacyFormat, covered: bytes, bad_texts: dict[int, str], code: int
) -> None:
    fields = {FIRST: legacy.seal(covered), SECOND: bad_texts[code]}
    check_refused(daemon.verify(fields | {"check_quality": "true"}), 4004, field=FIRST)
    check_refused(daemon.verify(fields), code, field=SECOND)


@pytest.mark.parametrize("code", _CODES)
def test_bad_photo_one_comes_before_a_covered_face_in_photo_two(
    daemon: RunningDaemon, legacy: LegacyFormat, covered: bytes, bad_texts: dict[int, str], code: int
) -> None:
    fields = {FIRST: bad_texts[code], SECOND: legacy.seal(covered), "check_quality": "true"}
    check_refused(daemon.verify(fields), code, field=FIRST)


@pytest.mark.parametrize(
    ("more", "at_fault"),
    [
        ({}, SECOND),
        ({SECOND: ""}, SECOND),
        ({SECOND: "AAAA", "auto_rotate": "maybe"}, "auto_rotate"),
        ({SECOND: "AAAA", "check_quality": "maybe"}, "check_quality"),
        ({SECOND: "AAAA", "check_quality": "maybe", "auto_rotate": "maybe"}, "auto_rotate"),
        ({"check_quality": "maybe"}, SECOND),
    ],
)
def test_parameters_are_checked_before_photos_and_in_order(
    daemon: RunningDaemon, bad_texts: dict[int, str], more: dict[str, str], at_fault: str
) -> None:
    check_refused(daemon.verify({FIRST: bad_texts[2005]} | more), 1200, field=at_fault)


def test_length_of_the_body_is_checked_before_its_type(daemon: RunningDaemon) -> None:
    headers = {"Content-Type": "text/plain", "Content-Length": str(10**9), "Connection": "close"}
    check_refused(daemon.request("POST", PATH, None, headers), 2004, status=413)


@pytest.mark.parametrize("post", [_form, _multipart])
@pytest.mark.parametrize("text", ["true", "True", "TRUE", "tRuE", "1"])
def test_text_for_true_is_true(daemon: RunningDaemon, sealed: Sealed, covered: bytes, post: Post, text: str) -> None:
    check_refused(post(daemon, sealed(covered, covered) | {"check_quality": text}), 4004, field=FIRST)


@pytest.mark.parametrize("post", [_form, _multipart])
@pytest.mark.parametrize("text", ["false", "False", "FALSE", "0"])
def test_text_for_false_is_false(daemon: RunningDaemon, sealed: Sealed, covered: bytes, post: Post, text: str) -> None:
    check_compared(post(daemon, sealed(covered, covered) | {"check_quality": text}))


def test_json_true_is_true(daemon: RunningDaemon, sealed: Sealed, covered: bytes) -> None:
    check_refused(_json(daemon, sealed(covered, covered) | {"check_quality": "true"}), 4004, field=FIRST)


def test_json_false_is_false(daemon: RunningDaemon, sealed: Sealed, covered: bytes) -> None:
    check_compared(_json(daemon, sealed(covered, covered) | {"check_quality": "false"}))


@_POSTS
def test_plus_sign_turned_into_a_space_gives_the_same_score(
    daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes], post: Post
) -> None:
    fields = sealed(small["obama"], small["biden"])
    assert all("+" in text for text in fields.values())
    spaced = {name: text.replace("+", " ") for name, text in fields.items()}
    assert check_compared(post(daemon, spaced)) == check_compared(post(daemon, fields))


def test_the_three_body_types_give_the_same_score(
    daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes]
) -> None:
    fields = sealed(small["obama"], small["biden"]) | {"auto_rotate": "true", "check_quality": "false"}
    assert len({check_compared(post(daemon, fields)) for post in (_form, _multipart, _json)}) == 1


@_POSTS
def test_unknown_parameters_are_ignored(
    daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes], post: Post
) -> None:
    fields = sealed(small["obama"], small["biden"])
    more = {"": "a", "threshold": "0.7", "First_Encrypted_Image": "a", "auto_rotate ": "maybe"}
    assert check_compared(post(daemon, more | fields)) == check_compared(post(daemon, fields))


@pytest.mark.parametrize(("one", "other"), [("obama", "biden"), ("obama2", "biden"), ("obama3", "biden")])
def test_swapped_photos_get_exactly_the_same_score(ask: Ask, samples: dict[str, bytes], one: str, other: str) -> None:
    score = check_compared(ask(samples[one], samples[other]))
    assert 0 < score < 1, "a score at the end of the scale proves nothing"
    assert check_compared(ask(samples[other], samples[one])) == score


def test_same_request_gets_the_same_score_each_time(ask: Ask, small: dict[str, bytes]) -> None:
    assert len({check_compared(ask(small["obama"], small["biden"])) for _ in range(20)}) == 1


def _bits_to_flip(length_bytes: int) -> list[int]:
    """Every bit of the tag, of the first and of the last byte of ciphertext, and some between; seeded."""
    tag = (length_bytes - TAG_BYTES) * 8
    between = random.Random(4).sample(range(8, tag - 8), 40)  # noqa: S311 - which bits does not matter
    return [*range(8), *range(tag - 8, length_bytes * 8), *between]


def test_any_flipped_bit_gives_the_same_answer(daemon: RunningDaemon, sealed: Sealed, small: dict[str, bytes]) -> None:
    fields = sealed(small["obama"], small["biden"])
    raw = base64.b64decode(fields[FIRST])
    answers = []
    for bit in _bits_to_flip(len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        answers.append(daemon.verify(fields | {FIRST: base64.b64encode(flipped).decode()}))
    check_refused(answers[0], 1200, field=FIRST)
    assert len({without_request_id(answer) for answer in answers}) == 1
    assert {answer.headers.get("x-error-field") for answer in answers} == {FIRST}
