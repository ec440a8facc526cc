"""A device that was installed and switched on: what it does by itself, and what it waits for."""

from __future__ import annotations

import json

from tests.systemd.appliance import FVCTL, PHOTOS
from tests.systemd.conftest import FirstStart
from tests.systemd.machine import Machine


def test_the_first_start_builds_the_engines(first_start: FirstStart) -> None:
    result, printed = first_start.engines
    assert result == "success"
    assert [line for line in printed if line.endswith("building for cpu")] == [
        "yunet: building for cpu",
        "sface: building for cpu",
    ]


def test_without_a_credential_the_daemon_refuses_and_the_journal_says_what_to_type(first_start: FirstStart) -> None:
    status, events = first_start.refused
    assert status == "4"
    assert [event["event"] for event in events] == ["start_refused"]
    assert events[0]["error"] == "KeyRefused"
    assert "fvctl keys init" in events[0]["remedy"]
    assert first_start.status == "refuses to serve: the journal says why, and what to do"


def test_after_the_repair_the_next_connection_finds_the_device_serving(first_start: FirstStart) -> None:
    assert first_start.answered == 200


def test_two_photos_get_their_score_through_the_socket(device: Machine) -> None:
    def score(first: str, second: str) -> float:
        shown = device.run(FVCTL, "verify", f"{PHOTOS}/{first}.jpg", f"{PHOTOS}/{second}.jpg", "--json", check=False)
        answer = json.loads(shown)
        assert answer["sealed_as"] == "jwe"
        return float(answer["verification_score"])

    assert score("obama", "obama2") > 0.9
    assert 0.2 < score("obama", "biden") < 0.5
