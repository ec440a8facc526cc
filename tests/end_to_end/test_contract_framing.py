"""HTTP itself: lengths, methods, and requests that are no HTTP, all answered in the contract's words."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import pytest

from daemon.api.verification import PATH
from tests.conftest import need
from tests.end_to_end.contract import check_headers_of, check_refused, check_request_id, split_answers
from tests.running_daemon import Answer, RunningDaemon

_OVER_THE_LIMIT = 16 * 1024 * 1024 + 1
"""Source: the contract: the limit is 16 MiB."""

_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
_CANARY = "canary7f3a91"


def _post(head: str, body: bytes = b"") -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n{head}\r\n".encode() + body


def _only_answer(daemon: RunningDaemon, request: bytes) -> Answer:
    answers = split_answers(daemon.raw(request))
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (_FORM, b""),
        (_FORM + "Transfer-Encoding: chunked\r\n", b"3\r\na=b\r\n0\r\n\r\n"),
        (_FORM + "Transfer-Encoding: unheard-of\r\n", b""),
    ],
    ids=["neither", "chunked", "unknown coding"],
)
def test_body_without_content_length_is_refused(daemon: RunningDaemon, head: str, body: bytes) -> None:
    check_refused(_only_answer(daemon, _post(head, body)), 1200, status=411)


@pytest.mark.parametrize("length", [_OVER_THE_LIMIT, 10**12])
def test_body_over_the_limit_is_refused_without_being_read(daemon: RunningDaemon, length: int) -> None:
    # Nothing of the body is ever sent: who waited for it would not answer.
    answer = _only_answer(daemon, _post(f"{_FORM}Content-Length: {length}\r\n"))
    check_refused(answer, 2004, status=413)


def test_body_at_the_limit_is_read(daemon: RunningDaemon) -> None:
    body = b"a=" + b"b" * (_OVER_THE_LIMIT - 3)
    answer = _only_answer(daemon, _post(f"{_FORM}Content-Length: {len(body)}\r\n", body))
    check_refused(answer, 1200, field="first_encrypted_image")


def test_sender_of_a_body_over_the_limit_gets_to_read_the_answer(daemon: RunningDaemon, tmp_path: Path) -> None:
    need("curl", which("curl") is not None)
    body = tmp_path / "body"
    body.write_bytes(bytes(_OVER_THE_LIMIT))
    command = ["curl", "--silent", "--noproxy", "*", "--header", "Expect:", "--data-binary", f"@{body}"]
    done = subprocess.run([*command, daemon.url + PATH], capture_output=True, check=True)
    assert b'"code": 2004' in done.stdout


@pytest.mark.parametrize("sent", [b"", b"a=b"])
def test_body_that_ends_early_is_an_invalid_argument(daemon: RunningDaemon, sent: bytes) -> None:
    answer = _only_answer(daemon, _post(f"{_FORM}Content-Length: 1000\r\n", sent))
    check_refused(answer, 1200)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_method_is_not_allowed_and_told_which_is(daemon: RunningDaemon, method: str) -> None:
    answer = daemon.request(method, PATH)
    check_refused(answer, 1200, status=405)
    assert answer.headers["allow"] == "POST"


def test_head_gets_the_headers_of_a_method_not_allowed(daemon: RunningDaemon) -> None:
    answer = daemon.request("HEAD", PATH)
    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["allow"] == "POST"
    assert answer.headers["cache-control"] == "no-store"
    check_headers_of(answer, 405)
    check_request_id(answer.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.yaml"])
def test_post_to_what_is_only_read_is_not_allowed(daemon: RunningDaemon, path: str) -> None:
    answer = daemon.request("POST", path, b"")
    check_refused(answer, 1200, status=405)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("path", [PATH, "/metrics", "/healthz", "/readyz", "/status", "/openapi.yaml"])
@pytest.mark.parametrize("before", ["/", "//", "/%2F", "http://device/", "/."])
def test_path_behind_more_than_one_slash_is_unknown(daemon: RunningDaemon, path: str, before: str) -> None:
    request = f"GET {before}{path} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n".encode()
    check_refused(_only_answer(daemon, request), 2000, status=404)


_MALFORMED = {
    "no HTTP": f"\0\1{_CANARY}\r\n\r\n".encode(),
    "no version": f"GET /{_CANARY}\r\n\r\n".encode(),
    "unknown version": f"GET /{_CANARY} HTTP/9.9\r\n\r\n".encode(),
    "lower-case method": f"get /{_CANARY} HTTP/1.1\r\n\r\n".encode(),
    "long path": f"GET /{_CANARY * 1000} HTTP/1.1\r\n\r\n".encode(),
    "huge header": _post(f"X-Photo: {_CANARY * 10_000}\r\n"),
    "many headers": _post("".join(f"X-{number}: {_CANARY}\r\n" for number in range(200))),
    "header without a colon": _post(f"{_CANARY}\r\n"),
    "control character in a header": _post(f"X-Photo: {_CANARY}\0\r\n"),
    "folded header": _post(f"X-Photo: a\r\n {_CANARY}\r\n"),
    "gzip body": _post(f"X-Photo: {_CANARY}\r\nTransfer-Encoding: gzip\r\n"),
    "two lengths": _post(f"X-Photo: {_CANARY}\r\nContent-Length: 3\r\nContent-Length: 4\r\n"),
    "length and chunked": _post(f"X-Photo: {_CANARY}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
    "length of letters": _post(f"Content-Length: {_CANARY}\r\n"),
    "negative length": _post(f"X-Photo: {_CANARY}\r\nContent-Length: -1\r\n"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + _CANARY.encode() + b"\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _CANARY.encode(),
}


@pytest.mark.parametrize("request_bytes", _MALFORMED.values(), ids=_MALFORMED)
def test_malformed_http_is_an_invalid_argument(daemon: RunningDaemon, request_bytes: bytes) -> None:
    check_refused(_only_answer(daemon, request_bytes), 1200)


def test_nothing_of_malformed_http_is_in_the_log(daemon: RunningDaemon) -> None:
    before = len(daemon.events)
    for request_bytes in _MALFORMED.values():
        daemon.raw(request_bytes)
    lines = [event for event in daemon.events[before:] if event["event"] == "malformed_request"]
    assert len(lines) == len(_MALFORMED)
    assert _CANARY not in daemon.log.read_text()


def test_method_that_the_framework_keeps_for_itself_is_an_invalid_argument(daemon: RunningDaemon) -> None:
    answer = _only_answer(daemon, f"WEBSOCKET {PATH} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n".encode())
    check_refused(answer, 1200)
