"""The one table of answers, against the contract's."""

from __future__ import annotations

import json

import falcon
import pytest

from daemon import errors
from daemon.api.responses import ANSWERS, INTERNAL_ERROR, answer_to, failure_body, raw_answer, success_body

# Source: the contract, written out again.
CONTRACT: list[tuple[Exception, tuple[int, str, int]]] = [
    (errors.InvalidArgument("x"), (1200, "invalid argument", 400)),
    (errors.SealedPhotoRefused(), (1200, "invalid argument", 400)),
    (errors.InvalidPhotoSize("x"), (2003, "invalid image size", 400)),
    (errors.InvalidContentLength("x"), (2004, "invalid content length", 400)),
    (errors.InvalidPhotoType("x"), (2005, "invalid image type or corrupted", 400)),
    (errors.DetectionFailed("x"), (4000, "detection failed", 400)),
    (errors.FaceOccluded("x"), (4004, "face occlusion", 400)),
    (errors.UnknownTerminal("x"), (1100, "invalid credential", 401)),
    (errors.RateLimited("x", 1), (1002, "rate limit exceeded", 429)),
    (errors.TryLater("x", 1), (5003, "service unavailable", 503)),
    (falcon.HTTPNotFound(), (2000, "resource not found", 404)),
    (falcon.HTTPRouteNotFound(), (2000, "resource not found", 404)),
    (falcon.HTTPMethodNotAllowed(["GET"]), (1200, "invalid argument", 405)),
    (falcon.HTTPLengthRequired(), (1200, "invalid argument", 411)),
    (falcon.HTTPContentTooLarge(), (2004, "invalid content length", 413)),
    (errors.EngineRefused("x", "y"), (5000, "internal error", 500)),
    (errors.KeyRefused("x", "y"), (5003, "service unavailable", 503)),
    (errors.ConfigurationRefused("x", "y"), (5003, "service unavailable", 503)),
    (LookupError("x"), (5000, "internal error", 500)),
]


@pytest.mark.parametrize(("error", "answer"), CONTRACT, ids=[type(error).__name__ for error, _ in CONTRACT])
def test_each_error_has_the_contract_s_answer(error: Exception, answer: tuple[int, str, int]) -> None:
    assert tuple(answer_to(error)) == answer


def test_every_row_of_the_table_is_checked_against_the_contract() -> None:
    assert set(ANSWERS) - {type(error) for error, _ in CONTRACT} == {falcon.HTTPError}


@pytest.mark.parametrize("error", [falcon.HTTPBadRequest(), falcon.HTTPUnsupportedMediaType(), falcon.HTTPGone()])
def test_any_other_http_error_is_an_invalid_argument(error: falcon.HTTPError) -> None:
    assert tuple(answer_to(error)) == (1200, "invalid argument", 400)


def test_an_error_without_a_row_takes_its_nearest_ancestor_s() -> None:
    class NewRefusal(errors.DetectionFailed):
        """A refusal that the table does not know yet."""

    assert answer_to(NewRefusal("x")).code == 4000


def test_success_has_three_keys_in_order() -> None:
    # Source: the contract's example.
    assert json.loads(success_body(0.9306188, "216069908eb147ed9e5e2b79bb767117"), object_pairs_hook=list) == [
        ("code", 1000),
        ("verification_score", 0.9306188),
        ("request_id", "216069908eb147ed9e5e2b79bb767117"),
    ]


@pytest.mark.parametrize("score", [0.0, 1.0, 1e-07, 0.1234567])
def test_a_score_survives_its_way_through_json(score: float) -> None:
    assert json.loads(success_body(score, "0" * 32))["verification_score"] == score


def test_failure_has_three_keys_in_order() -> None:
    assert json.loads(failure_body(INTERNAL_ERROR, "0" * 32), object_pairs_hook=list) == [
        ("code", 5000),
        ("message", "internal error"),
        ("request_id", "0" * 32),
    ]


def test_a_raw_answer_is_one_whole_http_answer() -> None:
    head, _, body = raw_answer(answer_to(falcon.HTTPLengthRequired()), "0" * 32).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines[1:])
    assert lines[0] == "HTTP/1.1 411 Length Required"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    assert headers["X-Request-Id"] == json.loads(body)["request_id"] == "0" * 32
