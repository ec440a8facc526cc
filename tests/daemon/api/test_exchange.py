"""What every answer has, and who may ask what, in falcon with real middleware."""

from __future__ import annotations

import io
import json
import re
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import falcon
import pytest
from falcon import testing

from daemon.api.credentials import Credentials
from daemon.api.exchange import Exchange, Gate, new_request_id
from daemon.api.rate_limit import RateLimit
from daemon.audit import Journal, Metrics
from daemon.config import Authentication, Management, Terminals
from daemon.errors import DetectionFailed, TryLater
from daemon.records import Step
from tests.terminals import registry_of, terminal, token_proof

TODAY = date(2026, 11, 25)
KNOWN = {"Authorization": "Bearer token-one"}


class ForTerminals:
    """A resource like the one that verifies."""

    for_terminals = True

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Time one step."""
        request.context.watch.run(Step.OPEN, int)
        response.data = b"{}"


class ForManagement:
    """A resource like those for who looks after the device."""

    for_management = True

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Answer."""
        response.data = b"{}"


class Failing:
    """Raises what it was given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def on_get(self, _request: falcon.Request, _response: falcon.Response) -> None:
        """Raise."""
        raise self._error


OPEN = Credentials(Authentication.NONE, None, lambda: TODAY)
"""Terminals are not authenticated."""


def _guarding(folder: Path, authentication: Authentication = Authentication.BEARER) -> Credentials:
    """One terminal is known, by its token."""
    registry = registry_of(folder / "terminals.yaml", terminal("counter-1", token_proof("token-one")))
    return Credentials(authentication, registry, lambda: TODAY)


class Site:
    """A whole application around the resources above, and what it wrote and counted."""

    def __init__(self, burst: int = 100, credentials: Credentials = OPEN) -> None:
        self.stream = io.StringIO()
        self.metrics = Metrics()
        exchange = Exchange(Journal(self.stream), self.metrics)
        terminals = Terminals(Authentication.NONE, None, 60, burst)
        networks = Management(("127.0.0.0/8", "::1/128"), None)  # type: ignore[arg-type]  # pydantic makes networks of them
        gate = Gate(credentials, RateLimit(terminals, None, lambda: 0.0), networks)
        app: falcon.App[falcon.Request, falcon.Response] = falcon.App(middleware=[exchange, gate])
        for kind in (Exception, falcon.HTTPError):
            app.add_error_handler(kind, exchange.on_error)
        app.add_route("/terminals", ForTerminals())
        app.add_route("/management", ForManagement())
        app.add_route("/bug", Failing(LookupError("the photo's secret bytes")))
        app.add_route("/busy", Failing(TryLater("queue full", 7)))
        app.add_route("/refused", Failing(DetectionFailed("no face found", "second_encrypted_image")))
        self.client = testing.TestClient(app)

    def lines(self) -> list[dict[str, Any]]:
        """What the journal holds."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def site() -> Site:
    """Terminals are not authenticated."""
    return Site()


@pytest.fixture
def guarded(tmp_path: Path) -> Site:
    """Terminals show a token."""
    return Site(credentials=_guarding(tmp_path))


def _answer(result: testing.Result) -> tuple[int, int, str]:
    return result.status_code, result.json["code"], result.json["message"]


def test_a_request_id_is_a_new_uuid_of_version_4_in_lower_case_hex() -> None:
    first, second = new_request_id(), new_request_id()
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert uuid.UUID(first).version == 4
    assert first != second


@pytest.mark.parametrize("path", ["/terminals", "/unknown", "/bug", "/busy", "/refused"])
def test_every_failure_carries_its_request_id_in_body_and_header(site: Site, path: str) -> None:
    result = site.client.simulate_get(path)
    assert list(result.json) == ["code", "message", "request_id"]
    assert result.json["request_id"] == result.headers["X-Request-Id"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/terminals"), ("GET", "/unknown"), ("GET", "/bug")])
def test_no_answer_may_be_stored(site: Site, method: str, path: str) -> None:
    assert site.client.simulate_request(method, path).headers["Cache-Control"] == "no-store"


def test_steps_are_told_in_server_timing(site: Site) -> None:
    timing = site.client.simulate_post("/terminals").headers["Server-Timing"]
    assert re.fullmatch(r"open;dur=\d+\.\d\d", timing)


def test_an_unknown_path_is_not_found(site: Site) -> None:
    assert _answer(site.client.simulate_get("/unknown")) == (404, 2000, "resource not found")


@pytest.mark.parametrize("path", ["//terminals", "//management", "///management", "//", "/%2Fmanagement", "//unknown"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_of_several_slashes_is_not_found(guarded: Site, path: str, method: str) -> None:
    assert _answer(guarded.client.simulate_request(method, path)) == (404, 2000, "resource not found")
    assert guarded.lines()[0]["route"] == "none"


def test_an_unknown_path_is_repeated_nowhere(site: Site) -> None:
    site.client.simulate_get("/secret-path")
    assert "secret-path" not in site.stream.getvalue()
    assert b"secret-path" not in site.metrics.exposition()
    assert site.lines()[0]["route"] == "none"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_a_method_that_is_not_known_is_told_which_are(site: Site, method: str) -> None:
    result = site.client.simulate_request(method, "/terminals")
    assert result.status_code == 405
    assert result.headers["Allow"] == "POST"


def test_a_bug_says_internal_error_and_no_more(site: Site) -> None:
    result = site.client.simulate_get("/bug")
    assert _answer(result) == (500, 5000, "internal error")
    assert "secret" not in result.text + site.stream.getvalue()


def test_a_bug_is_found_in_the_journal_by_its_request_id(site: Site) -> None:
    result = site.client.simulate_get("/bug")
    (fault,) = [line for line in site.lines() if line["event"] == "fault"]
    assert (fault["error"], fault["request_id"]) == ("LookupError", result.json["request_id"])


def test_a_refusal_s_field_is_in_the_header_and_the_log(site: Site) -> None:
    assert site.client.simulate_get("/refused").headers["X-Error-Field"] == "second_encrypted_image"
    (line,) = site.lines()
    assert (line["field"], line["reason"], line["code"]) == ("second_encrypted_image", "no face found", 4000)


def test_who_is_to_try_later_is_told_when(site: Site) -> None:
    result = site.client.simulate_get("/busy")
    assert _answer(result) == (503, 5003, "service unavailable")
    assert result.headers["Retry-After"] == "7"


def test_every_exchange_is_one_line_and_one_count(site: Site) -> None:
    site.client.simulate_post("/terminals")
    (line,) = site.lines()
    assert (line["event"], line["route"], line["status"], line["code"]) == ("answer", "/terminals", 200, 1000)
    assert line["terminal"] == "anyone"
    assert b'faceverifyd_answers_total{code="1000",route="/terminals",status="200"} 1.0' in site.metrics.exposition()


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_missing_credential_comes_before_a_wrong_method(guarded: Site, method: str) -> None:
    result = guarded.client.simulate_request(method, "/terminals")
    assert _answer(result) == (401, 1100, "invalid credential")
    assert result.headers["WWW-Authenticate"] == "Bearer"


def test_who_has_no_certificate_is_not_asked_for_a_token(tmp_path: Path) -> None:
    site = Site(credentials=_guarding(tmp_path, Authentication.MUTUAL_TLS))
    result = site.client.simulate_post("/terminals", headers=KNOWN)
    assert _answer(result) == (401, 1100, "invalid credential")
    assert "WWW-Authenticate" not in result.headers


def test_with_a_faulty_registry_the_journal_says_what_to_do(tmp_path: Path) -> None:
    site = Site(credentials=_guarding(tmp_path))
    (tmp_path / "terminals.yaml").chmod(0o644)
    result = site.client.simulate_post("/terminals", headers=KNOWN)
    assert _answer(result) == (503, 5003, "service unavailable")
    assert result.headers["Retry-After"] == "5"
    (fault,) = [line for line in site.lines() if line["event"] == "fault"]
    assert fault["request_id"] == result.json["request_id"]
    assert "mode 0644" in fault["reason"]
    assert fault["remedy"].startswith("chmod 600")


def test_a_known_terminal_is_named_in_the_log(guarded: Site) -> None:
    assert guarded.client.simulate_post("/terminals", headers=KNOWN).status_code == 200
    assert guarded.lines()[0]["terminal"] == "counter-1"


def test_a_token_is_never_logged(guarded: Site) -> None:
    guarded.client.simulate_post("/terminals", headers=KNOWN)
    guarded.client.simulate_post("/terminals", headers={"Authorization": "Bearer token-two"})
    assert "token-" not in guarded.stream.getvalue()


def test_too_many_requests_are_refused_with_when_to_come_back() -> None:
    site = Site(burst=1)
    assert site.client.simulate_post("/terminals").status_code == 200
    result = site.client.simulate_post("/terminals")
    assert _answer(result) == (429, 1002, "rate limit exceeded")
    assert result.headers["Retry-After"] == "1"  # 60 a minute


def test_unknown_callers_do_not_use_up_a_terminal_s_allowance(tmp_path: Path) -> None:
    site = Site(burst=1, credentials=_guarding(tmp_path))
    for _ in range(3):
        site.client.simulate_post("/terminals")
    assert site.client.simulate_post("/terminals", headers=KNOWN).status_code == 200


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_management_is_answered_on_its_networks_and_its_socket(site: Site, peer: str) -> None:
    assert site.client.simulate_get("/management", extras={"REMOTE_ADDR": peer}).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.1", "::2", "::ffff:10.0.0.1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_for_others_management_is_not_there(site: Site, peer: str, method: str) -> None:
    result = site.client.simulate_request(method, "/management", extras={"REMOTE_ADDR": peer})
    assert _answer(result) == (404, 2000, "resource not found")


def test_a_forwarded_address_does_not_make_anyone_management(site: Site) -> None:
    result = site.client.simulate_get(
        "/management", headers={"X-Forwarded-For": "127.0.0.1"}, extras={"REMOTE_ADDR": "10.0.0.1"}
    )
    assert result.status_code == 404
