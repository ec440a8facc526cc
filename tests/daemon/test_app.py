"""The whole application, made of real objects: it answers, or it refuses to be made."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from falcon import testing

from daemon.api.verification import PATH
from daemon.app import Networks, create_app, load_networks, make_detector, make_occlusion_gate
from daemon.audit import Journal
from daemon.config import Config, load_config
from daemon.errors import ConfigurationRefused, EngineRefused, KeyRefused
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site


class Made:
    """An application, and what its journal holds."""

    def __init__(self, config: Config) -> None:
        self.stream = io.StringIO()
        self.client = testing.TestClient(create_app(config, Journal(self.stream)).wsgi)


@pytest.fixture(scope="module")
def made(config: Config) -> Made:
    """An application of the site."""
    return Made(config)


def _verified(made: Made, first: str, second: str, **more: str) -> testing.Result:
    body = {"first_encrypted_image": first, "second_encrypted_image": second} | more
    return made.client.simulate_post(
        PATH,
        body="&".join(f"{name}={value}" for name, value in body.items()),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def test_two_photos_of_one_person_are_answered_with_a_high_score(
    made: Made, samples: dict[str, bytes], legacy: LegacyFormat
) -> None:
    result = _verified(made, legacy.seal(samples["obama"]), legacy.seal(samples["obama2"]), auto_rotate="true")
    assert list(result.json) == ["code", "verification_score", "request_id"]
    assert (result.status_code, result.json["code"]) == (200, 1000)
    assert result.json["verification_score"] > 0.7  # source: the contract, the recommended threshold


def test_a_photo_that_does_not_open_is_an_invalid_argument_of_its_field(made: Made, legacy: LegacyFormat) -> None:
    result = _verified(made, legacy.seal(b"x")[4:], legacy.seal(b"x"))
    assert (result.status_code, result.json["code"]) == (400, 1200)
    assert result.headers["X-Error-Field"] == "first_encrypted_image"


def test_the_journal_is_told_of_every_weakness_in_use(made: Made) -> None:
    lines = [json.loads(line) for line in made.stream.getvalue().splitlines()]
    reasons = [line["reason"] for line in lines if line["event"] == "warning"]
    assert [reason.partition(" ")[0] for reason in reasons] == ["legacy", "published"]


def test_readiness_names_both_networks(made: Made) -> None:
    assert made.client.simulate_get("/readyz").json["accelerators"] == {"yunet": "cpu", "sface": "cpu"}


def test_without_engines_no_application_is_made(site: Site, tmp_path: Path) -> None:
    config = load_config(site.write("without_engines.yaml", inference={"engines": str(tmp_path)}))
    with pytest.raises(EngineRefused):
        create_app(config, Journal(io.StringIO()))


def test_with_the_published_key_no_application_is_made_unless_allowed(site: Site) -> None:
    config = load_config(site.write("published.yaml", sealed={"allow_published_key": False}))
    with pytest.raises(KeyRefused):
        create_app(config, Journal(io.StringIO()))


def test_one_network_cannot_be_named_for_both_tasks(site: Site) -> None:
    config = load_config(site.write("one_network.yaml", inference={"detection": "sface"}))
    with pytest.raises(ConfigurationRefused, match="network sface is no detector"):
        create_app(config, Journal(io.StringIO()))


def test_a_recognition_network_is_no_detector(site: Site, config: Config) -> None:
    both = load_networks(config.inference)
    swapped = Networks(both.recognition, both.detection, both.device)
    with pytest.raises(ConfigurationRefused, match="network sface is no detector"):
        make_detector(swapped)
    with pytest.raises(ConfigurationRefused, match="network yunet has no occlusion head"):
        make_occlusion_gate(swapped)
