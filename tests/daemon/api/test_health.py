"""Health for who looks after the device, in falcon with the real middleware around it."""

from __future__ import annotations

import io

import falcon
import pytest
import yaml
from falcon import testing

from daemon.api.exchange import Exchange
from daemon.api.health import JWKS_PATH, Alive, Exposition, Jwks, OpenApi, Ready
from daemon.audit import Journal, Metrics, Reading
from tests.conftest import REPOSITORY


class Device:
    """The five resources, and the reasons that a test puts in."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        metrics = Metrics(lambda: [Reading("warning", "Weak.", [(("weak",), 1)], ("warning",))])
        app: falcon.App[falcon.Request, falcon.Response] = falcon.App(
            middleware=[Exchange(Journal(io.StringIO()), metrics)]
        )
        app.add_route("/healthz", Alive())
        app.add_route("/readyz", Ready(lambda: self.reasons, {"yunet": "cpu"}, True))
        app.add_route("/metrics", Exposition(metrics))
        app.add_route("/openapi.yaml", OpenApi())
        app.add_route(JWKS_PATH, Jwks(lambda: {"keys": [{"kid": "one"}]}))
        self.client = testing.TestClient(app)


@pytest.fixture
def device() -> Device:
    """A device that serves."""
    return Device()


def test_a_process_that_answers_is_alive(device: Device) -> None:
    result = device.client.simulate_get("/healthz")
    assert (result.status_code, result.json["alive"]) == (200, True)


def test_a_device_that_does_not_serve_is_alive_all_the_same(device: Device) -> None:
    device.reasons.append("engine_failed:yunet")
    assert device.client.simulate_get("/healthz").status_code == 200


def test_a_device_without_reasons_against_it_is_ready(device: Device) -> None:
    result = device.client.simulate_get("/readyz")
    assert result.status_code == 200
    assert (result.json["ready"], result.json["reasons"]) == (True, [])


def test_readiness_says_what_each_network_runs_on(device: Device) -> None:
    answer = device.client.simulate_get("/readyz").json
    assert (answer["accelerators"], answer["accelerator_lowered"]) == ({"yunet": "cpu"}, True)


def test_a_device_with_reasons_against_it_is_not_ready_and_says_which(device: Device) -> None:
    device.reasons.append("engine_failed:yunet")
    result = device.client.simulate_get("/readyz")
    assert result.status_code == 503
    assert (result.json["ready"], result.json["reasons"]) == (False, ["engine_failed:yunet"])


def test_a_device_is_ready_again_when_the_reason_is_gone(device: Device) -> None:
    device.reasons.append("engine_failed:yunet")
    device.client.simulate_get("/readyz")
    device.reasons.clear()
    assert device.client.simulate_get("/readyz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_carries_its_request_id_in_body_and_header(device: Device, path: str) -> None:
    result = device.client.simulate_get(path)
    assert result.json["request_id"] == result.headers["X-Request-Id"]


def test_metrics_are_prometheus_text(device: Device) -> None:
    result = device.client.simulate_get("/metrics")
    assert result.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'faceverifyd_warning{warning="weak"} 1.0' in result.text


def test_the_contract_for_machines_is_served_as_it_is_shipped(device: Device) -> None:
    result = device.client.simulate_get("/openapi.yaml")
    assert result.content == (REPOSITORY / "daemon" / "api" / "openapi.yaml").read_bytes()
    assert yaml.safe_load(result.content)["openapi"].startswith("3.1")


def test_the_public_keys_are_a_jwk_set_where_terminals_look_for_one(device: Device) -> None:
    result = device.client.simulate_get("/.well-known/jwks.json")  # source: the contract, section 5
    # Source of the media type: RFC 7517, section 8.5.2.
    assert (result.status_code, result.headers["content-type"]) == (200, "application/jwk-set+json")
    assert result.json == {"keys": [{"kid": "one"}]}
