"""The one table of answers: error class -> code, message and HTTP status."""

from __future__ import annotations

import json
from typing import NamedTuple

import falcon

from daemon import errors

SUCCESS_CODE = 1000
"""Source: the contract: the code of a comparison that was made."""


class Answer(NamedTuple):
    """One row of the contract's table of codes."""

    code: int
    message: str
    status: int


COMPARED = Answer(SUCCESS_CODE, "compared", 200)
INTERNAL_ERROR = Answer(5000, "internal error", 500)
LENGTH_REQUIRED = Answer(1200, "invalid argument", 411)
UNAVAILABLE = Answer(5003, "service unavailable", 503)

ANSWERS: dict[type[Exception], Answer] = {
    errors.InvalidArgument: Answer(1200, "invalid argument", 400),
    errors.SealedPhotoRefused: Answer(1200, "invalid argument", 400),
    errors.InvalidPhotoSize: Answer(2003, "invalid image size", 400),
    errors.InvalidContentLength: Answer(2004, "invalid content length", 400),
    errors.InvalidPhotoType: Answer(2005, "invalid image type or corrupted", 400),
    errors.DetectionFailed: Answer(4000, "detection failed", 400),
    errors.FaceOccluded: Answer(4004, "face occlusion", 400),
    errors.UnknownTerminal: Answer(1100, "invalid credential", 401),
    errors.RateLimited: Answer(1002, "rate limit exceeded", 429),
    errors.TryLater: UNAVAILABLE,
    errors.ConfigurationRefused: UNAVAILABLE,
    errors.KeyRefused: UNAVAILABLE,
    falcon.HTTPNotFound: Answer(2000, "resource not found", 404),
    falcon.HTTPMethodNotAllowed: Answer(1200, "invalid argument", 405),
    falcon.HTTPLengthRequired: LENGTH_REQUIRED,
    falcon.HTTPContentTooLarge: Answer(2004, "invalid content length", 413),
    falcon.HTTPError: Answer(1200, "invalid argument", 400),
}
"""Source: the contract's table of codes. What is not here, nor an ancestor of it, is a fault of the device: 5000.

Registry and keys are repaired under a daemon that runs: until then it is not ready, and another device may be."""


def answer_to(error: BaseException) -> Answer:
    """The row for an error: that of its class, else of its nearest ancestor, else an internal error."""
    return next((ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS), INTERNAL_ERROR)


def success_body(verification_score: float, request_id: str) -> bytes:
    """The body of a comparison that was made, keys in the contract's order."""
    return _json({"code": SUCCESS_CODE, "verification_score": verification_score, "request_id": request_id})


def failure_body(answer: Answer, request_id: str) -> bytes:
    """The body of everything else, keys in the contract's order."""
    return _json({"code": answer.code, "message": answer.message, "request_id": request_id})


def raw_answer(answer: Answer, request_id: str) -> bytes:
    """A whole HTTP/1.1 answer, for faults so early that there is no request to answer through falcon."""
    body = failure_body(answer, request_id)
    reason = falcon.code_to_http_status(answer.status)
    head = (
        f"HTTP/1.1 {reason}\r\nConnection: close\r\nContent-Type: {falcon.MEDIA_JSON}\r\nCache-Control: no-store\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _json(body: dict[str, object]) -> bytes:
    return json.dumps(body).encode("ascii")
