"""Starts, stops and restarts: nobody hears that the device is ready before it is, and nobody's request is lost."""

from __future__ import annotations

import threading
import time

import pytest

from daemon.api.health import JWKS_PATH
from tests.systemd.machine import SERVICE, SOCKET, Machine, Terminals, soon
from tools.asking import sealed_form
from tools.sealing import jwe_sealer


def test_a_start_returns_when_the_device_answers_and_not_before(changed: Machine) -> None:
    changed.systemctl("stop", SERVICE)
    seen = list[tuple[str, str]]()
    changed.systemctl("start", "--no-block", SERVICE)

    def look() -> bool:
        seen.append((changed.shown("ActiveState"), changed.shown("StatusText")))
        return seen[-1][0] == "active"

    assert soon(look)
    began = time.monotonic()
    assert changed.get("/readyz").status == 200
    assert time.monotonic() - began < 2  # no engine is loaded in that time
    assert ("activating", "loading keys and engines") in seen
    assert changed.shown("StatusText") == "serving: keys opened, engines proven"


def test_a_restart_under_load_loses_no_request(changed: Machine, form: dict[str, str]) -> None:
    with Terminals(lambda: changed.verify(form)) as terminals:
        changed.systemctl("restart", SERVICE)
        answered = len(terminals.answers)
        assert soon(lambda: 200 in terminals.statuses[answered:])
    assert terminals.failures == []
    # 503 to the few that were let in just when the stop came: they are told to ask again in a second.
    assert set(terminals.statuses) <= {200, 503}
    assert terminals.statuses.count(503) <= len(terminals.statuses) / 4


def test_a_stop_answers_what_has_begun(changed: Machine, samples: dict[str, bytes]) -> None:
    seal = jwe_sealer(changed.get(JWKS_PATH).json["keys"][0])
    form = sealed_form(seal, (samples["obama"], samples["obama2"]))
    answers = list[int]()
    asking = [threading.Thread(target=lambda: answers.append(changed.verify(form).status)) for _ in range(4)]
    for thread in asking:
        thread.start()
    assert soon(lambda: answers)  # the others are on their way
    changed.systemctl("stop", SERVICE)
    for thread in asking:
        thread.join(60)
    assert len(answers) == 4
    assert set(answers) <= {200, 503}
    assert changed.shown("Result") == "success"


def test_a_stop_while_the_device_starts_is_no_failure(changed: Machine) -> None:
    changed.systemctl("stop", SERVICE)
    changed.systemctl("start", "--no-block", SERVICE)
    assert soon(lambda: changed.shown("StatusText") == "loading keys and engines")
    changed.systemctl("stop", SERVICE)
    assert (changed.shown("ActiveState"), changed.shown("Result")) == ("inactive", "success")


def test_a_device_whose_socket_is_stopped_refuses_connections(changed: Machine) -> None:
    changed.systemctl("stop", SOCKET, SERVICE)
    with pytest.raises(ConnectionRefusedError):
        changed.connect()


def test_after_a_stop_the_next_connection_starts_the_device_again(changed: Machine) -> None:
    changed.systemctl("stop", SERVICE)
    assert changed.get("/readyz").status == 200
