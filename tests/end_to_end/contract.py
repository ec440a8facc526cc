"""The contract's table of codes, written down a second time, and the check that every answer has to pass."""

from __future__ import annotations

import re
import uuid

from tests.running_daemon import Answer

FIRST = "first_encrypted_image"
SECOND = "second_encrypted_image"

TABLE: dict[int, tuple[str, set[int]]] = {
    1200: ("invalid argument", {400, 405, 411}),
    2000: ("resource not found", {404}),
    2003: ("invalid image size", {400}),
    2004: ("invalid content length", {400, 413}),
    2005: ("invalid image type or corrupted", {400}),
    4000: ("detection failed", {400}),
    4004: ("face occlusion", {400}),
    1100: ("invalid credential", {401}),
    1002: ("rate limit exceeded", {429}),
    5000: ("internal error", {500}),
    5003: ("service unavailable", {503}),
}
"""Source: the contract: code to message and the HTTP statuses it may come with."""

_seen_request_ids: set[str] = set()


def check_compared(answer: Answer) -> float:
    """Check a comparison that was made; its verification score."""
    assert answer.status == 200, answer.body
    assert list(answer.json) == ["code", "verification_score", "request_id"]
    assert answer.json["code"] == 1000
    score = answer.json["verification_score"]
    assert isinstance(score, float)
    assert 0 <= score <= 1
    _check_every_answer(answer, answer.json["request_id"])
    assert not {"x-error-field", "retry-after", "allow", "www-authenticate"} & set(answer.headers)
    return score


def check_refused(answer: Answer, code: int, status: int = 400, field: str | None = None) -> None:
    """Check a refusal: its row of the table, the form of its body, and the headers that go with its status."""
    message, statuses = TABLE[code]
    assert status in statuses, "the test expects what the contract does not know"
    assert (answer.status, answer.json.get("code")) == (status, code), answer.body
    assert list(answer.json) == ["code", "message", "request_id"]
    assert answer.json["message"] == message
    _check_every_answer(answer, answer.json["request_id"])
    assert answer.headers.get("x-error-field") == field
    check_headers_of(answer, status)


def check_headers_of(answer: Answer, status: int) -> None:
    """Check the headers that HTTP wants with a status, and only with it."""
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert re.fullmatch(r"[1-9][0-9]*", answer.headers.get("retry-after", "1"))
    assert ("allow" in answer.headers) == (status == 405)
    assert status == 401 or "www-authenticate" not in answer.headers


def _check_every_answer(answer: Answer, request_id: str) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == request_id
    check_request_id(request_id)


def check_request_id(request_id: str) -> None:
    """Check that it is 32 lower-case hex digits of a UUID version 4 that no answer had before."""
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    assert uuid.UUID(request_id).version == 4
    assert uuid.UUID(request_id).variant == uuid.RFC_4122
    assert request_id not in _seen_request_ids
    _seen_request_ids.add(request_id)


def without_request_id(answer: Answer) -> tuple[int, bytes]:
    """Status and body of an answer, its request id blanked."""
    return answer.status, answer.body.replace(answer.headers["x-request-id"].encode(), b"")


def split_answers(stream: bytes) -> list[Answer]:
    """The HTTP/1.1 answers in what a connection gave until it was closed."""
    answers = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), first
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        answers.append(Answer(int(first.split()[1]), headers, rest[:length]))
        stream = rest[length:]
    return answers
