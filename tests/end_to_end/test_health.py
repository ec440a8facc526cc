"""Health, readiness and metrics: what they say, and to whom."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.api.verification import PATH
from tests.end_to_end.conftest import Start
from tests.end_to_end.contract import check_refused, check_request_id
from tests.running_daemon import RunningDaemon

_MANAGED = ("/healthz", "/readyz", "/metrics", "/status")


def _samples(daemon: RunningDaemon) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the metrics by name and labels, read by Prometheus' own parser."""
    families = text_string_to_metric_families(daemon.get("/metrics").body.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def _answers(daemon: RunningDaemon, route: str, code: int, status: int) -> float:
    labels = (("code", str(code)), ("route", route), ("status", str(status)))
    return _samples(daemon).get(("faceverifyd_answers_total", labels), 0.0)


def test_process_that_lives_says_so(daemon: RunningDaemon) -> None:
    answer = daemon.get("/healthz")
    assert answer.status == 200
    assert list(answer.json) == ["alive", "request_id"]
    assert answer.json["alive"] is True
    check_request_id(answer.json["request_id"])


def test_device_that_serves_is_ready_and_says_what_it_runs_on(daemon: RunningDaemon) -> None:
    answer = daemon.get("/readyz")
    assert answer.status == 200
    assert answer.json["ready"] is True
    assert answer.json["reasons"] == []
    assert answer.json["accelerators"] == {"yunet": "cpu", "sface": "cpu"}


@pytest.mark.parametrize("path", [*_MANAGED, "/openapi.yaml"])
def test_every_answer_has_a_request_id_and_is_not_stored(daemon: RunningDaemon, path: str) -> None:
    answer = daemon.get(path)
    check_request_id(answer.headers["x-request-id"])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /nowhere HTTP/9.9", 400),
        ("GET /nowhere HTTP/1.1\r\nno header", 400),
        ("POST /nowhere HTTP/1.1\r\nHost: device\r\nTransfer-Encoding: unheard-of", 411),
    ],
)
def test_what_is_no_http_is_counted_too(daemon: RunningDaemon, head: str, status: int) -> None:
    before = _answers(daemon, "none", 1200, status)
    daemon.raw(f"{head}\r\n\r\n".encode())
    assert _answers(daemon, "none", 1200, status) == before + 1


@pytest.mark.parametrize(
    ("method", "path", "route", "code", "status"),
    [
        ("POST", PATH, PATH, 1200, 411),
        ("GET", PATH, PATH, 1200, 405),
        ("GET", "/nowhere", "none", 2000, 404),
        ("GET", "/healthz", "/healthz", 1000, 200),
    ],
)
def test_metrics_count_answers_by_route_code_and_status(
    daemon: RunningDaemon, method: str, path: str, route: str, code: int, status: int
) -> None:
    before = _answers(daemon, route, code, status)
    request = f"{method} {path} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n".encode()
    for _ in range(3):
        daemon.raw(request)
    assert _answers(daemon, route, code, status) == before + 3


def test_metrics_say_that_the_published_key_and_the_legacy_format_are_in_use(daemon: RunningDaemon) -> None:
    warnings = [labels for name, labels in _samples(daemon) if name == "faceverifyd_warning"]
    assert any("published default key" in text for ((_, text),) in warnings)
    assert any("legacy format" in text for ((_, text),) in warnings)


def test_log_says_at_start_that_the_published_key_and_the_legacy_format_are_in_use(daemon: RunningDaemon) -> None:
    warnings = [event["reason"] for event in daemon.events if event["event"] == "warning"]
    assert any("published default key" in text for text in warnings)
    assert any("legacy format" in text for text in warnings)


@pytest.fixture(scope="module")
def unmanaged(start: Start) -> RunningDaemon:
    """A daemon that is managed from a network which the tests are not in."""
    # It is waited for by its readiness, which it tells nobody here: a path that everybody may read stands in.
    return start("unmanaged", ready_path="/openapi.yaml", management={"networks": ["192.0.2.0/24"]})


@pytest.mark.parametrize("path", _MANAGED)
def test_peer_outside_the_management_networks_does_not_find_it(unmanaged: RunningDaemon, path: str) -> None:
    check_refused(unmanaged.get(path), 2000, status=404)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_peer_cannot_say_that_it_is_another(unmanaged: RunningDaemon, header: str) -> None:
    value = "for=192.0.2.7" if header == "Forwarded" else "192.0.2.7"
    check_refused(unmanaged.request("GET", "/healthz", None, {header: value}), 2000, status=404)


def test_peer_outside_the_management_networks_still_finds_the_contract(unmanaged: RunningDaemon) -> None:
    assert unmanaged.get("/openapi.yaml").status == 200
    check_refused(unmanaged.request("POST", PATH, b""), 1200)
