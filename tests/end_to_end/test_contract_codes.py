"""Every row of the contract's table that two photos and their parameters can bring about."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from daemon.api.verification import PATH
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey
from tests.end_to_end.conftest import Ask
from tests.end_to_end.contract import FIRST, SECOND, check_compared, check_refused, without_request_id
from tests.end_to_end.photos import MAX_BYTES, encoded, opened, plain, png_that_claims
from tests.running_daemon import Answer, RunningDaemon

Fields = list[tuple[str, str]]


@dataclass(frozen=True)
class Poster:
    """Posts to the shared daemon what is not a well-formed pair."""

    daemon: RunningDaemon
    good: str

    def form(self, fields: Fields) -> Answer:
        """Post fields as a form, a plus sign percent-encoded."""
        text = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in fields)
        return self.send(text.encode(), "application/x-www-form-urlencoded")

    def json(self, document: object) -> Answer:
        """Post a JSON document."""
        return self.send(json.dumps(document).encode(), "application/json")

    def send(self, body: bytes, content_type: str | None) -> Answer:
        """Post a body."""
        return self.daemon.request("POST", PATH, body, {"Content-Type": content_type} if content_type else {})


@pytest.fixture(scope="session")
def post(daemon: RunningDaemon, legacy: LegacyFormat, small: dict[str, bytes]) -> Poster:
    return Poster(daemon, legacy.seal(small["obama"]))


def test_mated_photos_score_above_the_recommended_threshold(ask: Ask, samples: dict[str, bytes]) -> None:
    assert check_compared(ask(samples["obama"], samples["obama2"])) > 0.7


def test_non_mated_photos_score_below_the_recommended_threshold(ask: Ask, samples: dict[str, bytes]) -> None:
    assert check_compared(ask(samples["obama"], samples["biden"])) < 0.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_each_of_the_five_formats_is_compared(ask: Ask, small: dict[str, bytes], kind: str) -> None:
    assert check_compared(ask(encoded(opened(small["obama"]), kind), small["obama2"])) > 0.7


def test_photo_of_exactly_five_mebibytes_is_compared(ask: Ask, samples: dict[str, bytes]) -> None:
    check_compared(ask(samples["obama"].ljust(MAX_BYTES, b"\0"), samples["obama2"]))


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ([(SECOND, "G")], FIRST),
        ([(FIRST, "G")], SECOND),
        ([], FIRST),
        ([(FIRST, ""), (SECOND, "G")], FIRST),
        ([(FIRST, "G"), (SECOND, "")], SECOND),
        ([(FIRST, "G"), (FIRST, "G"), (SECOND, "G")], FIRST),
        ([(FIRST, "G"), (SECOND, "G"), (SECOND, "G")], SECOND),
        ([(FIRST, "G"), (SECOND, "G"), ("auto_rotate", "true"), ("auto_rotate", "true")], "auto_rotate"),
        ([(FIRST, "G"), (SECOND, "G"), ("auto_rotate", "yes")], "auto_rotate"),
        ([(FIRST, "G"), (SECOND, "G"), ("auto_rotate", "")], "auto_rotate"),
        ([(FIRST, "G"), (SECOND, "G"), ("check_quality", "2")], "check_quality"),
        ([(FIRST, "not base64!"), (SECOND, "G")], FIRST),
        ([(FIRST, "G"), (SECOND, "YWJj=")], SECOND),
        ([(FIRST, "__--"), (SECOND, "G")], FIRST),
        ([(FIRST, "\u00e9"), (SECOND, "G")], FIRST),
    ],
)
def test_bad_parameter_is_an_invalid_argument_and_named(post: Poster, fields: Fields, at_fault: str) -> None:
    whole = [(name, post.good if value == "G" else value) for name, value in fields]
    check_refused(post.form(whole), 1200, field=at_fault)


@pytest.mark.parametrize("value", [5, None, True, ["a"], {"a": "b"}, ""])
def test_json_photo_that_is_no_text_is_an_invalid_argument(post: Poster, value: Any) -> None:  # noqa: ANN401
    check_refused(post.json({FIRST: value, SECOND: post.good}), 1200, field=FIRST)


@pytest.mark.parametrize("value", ["true", "1", 1, 0, None, [], 1.0])
def test_json_boolean_that_is_none_is_an_invalid_argument(post: Poster, value: Any) -> None:  # noqa: ANN401
    check_refused(post.json({FIRST: post.good, SECOND: post.good, "check_quality": value}), 1200, field="check_quality")


def test_json_name_given_twice_is_an_invalid_argument(post: Poster) -> None:
    good = json.dumps(post.good)
    body = f'{{"{FIRST}": {good}, "{SECOND}": {good}, "{SECOND}": {good}}}'
    check_refused(post.send(body.encode(), "application/json"), 1200, field=SECOND)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"{}"),
        ("application/xml", b"<a/>"),
        (None, b"{}"),
        ("application/json", b'{"first_encrypted_image": '),
        ("application/json", b'["first_encrypted_image"]'),
        ("application/json", b"\xff\xfe{}"),
        ("application/json", b"[" * 100_000),
        ("application/json", b""),
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary in here"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut o'),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: \xff\r\n\r\n\xff\r\n--x--\r\n"),
    ],
)
def test_malformed_body_is_an_invalid_argument(post: Poster, content_type: str | None, body: bytes) -> None:
    check_refused(post.send(body, content_type), 1200)


def test_parameter_that_is_no_text_is_named(post: Poster) -> None:
    answer = post.send(b"first_encrypted_image=%ff", "application/x-www-form-urlencoded")
    check_refused(answer, 1200, field="first_encrypted_image")


def _spoiled(good: str) -> dict[str, str]:
    raw = base64.b64decode(good)
    other = LegacyFormat(LegacyKey(PUBLISHED_KEY[::-1].encode(), PUBLISHED_IV.encode()))
    changed = {
        "wrong tag": raw[:-1] + bytes([raw[-1] ^ 1]),
        "wrong ciphertext": bytes([raw[0] ^ 1]) + raw[1:],
        "truncated": raw[:-20],
        "shorter than a tag": raw[:9],
        "nothing but a tag": bytes(16),
        "longer": raw + b"\0",
    }
    return {name: base64.b64encode(value).decode() for name, value in changed.items()} | {"wrong key": other.seal(b"a")}


def test_photos_that_do_not_open_are_told_apart_by_nothing(post: Poster) -> None:
    answers = [post.form([(FIRST, post.good), (SECOND, text)]) for text in _spoiled(post.good).values()]
    for answer in answers:
        check_refused(answer, 1200, field=SECOND)
    assert len({without_request_id(answer) for answer in answers}) == 1
    assert len({frozenset(answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize(
    "photo",
    [
        plain(7, 8),
        plain(8, 7),
        plain(5001, 8),
        plain(8, 5001),
        pytest.param(png_that_claims(5001, 100), id="header claims too much"),
        pytest.param(png_that_claims(2**31 - 1, 2**31 - 1), id="header claims a bomb"),
    ],
)
def test_photo_outside_the_pixel_limits_is_an_invalid_size(ask: Ask, small: dict[str, bytes], photo: bytes) -> None:
    check_refused(ask(photo, small["obama"]), 2003, field=FIRST)


@pytest.mark.parametrize("photo", [plain(8, 8), plain(5000, 8), plain(8, 5000)])
def test_photo_at_the_pixel_limits_is_looked_at(ask: Ask, small: dict[str, bytes], photo: bytes) -> None:
    check_refused(ask(small["obama"], photo), 4000, field=SECOND)


@pytest.mark.parametrize("photo", [b"", bytes(MAX_BYTES + 1)], ids=["empty", "over 5 MiB"])
def test_photo_outside_the_byte_limits_is_an_invalid_length(ask: Ask, small: dict[str, bytes], photo: bytes) -> None:
    check_refused(ask(photo, small["obama"]), 2004, field=FIRST)
    check_refused(ask(small["obama"], photo), 2004, field=SECOND)


def test_file_that_is_no_photo_of_the_five_formats_is_an_invalid_type(ask: Ask, small: dict[str, bytes]) -> None:
    for other in (
        b"\0",
        b"%PDF-1.7\n",
        encoded(opened(small["obama"]), "WEBP"),
        encoded(opened(small["obama"]), "PPM"),
    ):
        check_refused(ask(other, small["obama"]), 2005, field=FIRST)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_truncated_photo_is_corrupted(ask: Ask, small: dict[str, bytes], kind: str) -> None:
    whole = encoded(opened(small["obama"]), kind)
    check_refused(ask(small["obama"], whole[: len(whole) // 2]), 2005, field=SECOND)


def test_photo_whose_header_lies_within_the_limits_is_corrupted(ask: Ask, small: dict[str, bytes]) -> None:
    check_refused(ask(png_that_claims(640, 480), small["obama"]), 2005, field=FIRST)


def test_photo_without_a_face_fails_detection(ask: Ask, small: dict[str, bytes]) -> None:
    check_refused(ask(plain(640, 480), small["obama"]), 4000, field=FIRST)


@pytest.mark.parametrize("at_fault", [FIRST, SECOND])
def test_covered_face_is_refused_where_quality_is_checked(
    ask: Ask, samples: dict[str, bytes], covered: bytes, at_fault: str
) -> None:
    pair = (covered, samples["obama2"]) if at_fault == FIRST else (samples["obama2"], covered)
    check_refused(ask(*pair, check_quality="true"), 4004, field=at_fault)


@pytest.mark.parametrize("more", [{}, {"check_quality": "false"}])
def test_covered_face_is_compared_where_quality_is_not_checked(
    ask: Ask, samples: dict[str, bytes], covered: bytes, more: dict[str, str]
) -> None:
    check_compared(ask(covered, samples["obama2"], **more))


def test_free_faces_are_compared_where_quality_is_checked(ask: Ask, samples: dict[str, bytes]) -> None:
    check_compared(ask(samples["obama"], samples["biden"], check_quality="true"))


@pytest.mark.parametrize("path", ["/", "/identity", PATH + "/", PATH.upper(), "/favicon.ico", "/%2e%2e/etc/passwd"])
def test_unknown_path_is_not_found(daemon: RunningDaemon, path: str) -> None:
    check_refused(daemon.get(path), 2000, status=404)
