"""The timer asks the doctor, and the journal has what it found."""

from __future__ import annotations

import json
import re
from typing import Any

from daemon.api.health import JWKS_PATH
from tests.systemd.appliance import FVCTL, STATE_FOLDER
from tests.systemd.machine import SERVICE, SOCKET, Machine, soon

TIMER, DOCTOR = "faceverifyd-doctor.timer", "faceverifyd-doctor.service"
ANSWERED = {"ok", "--", "!!", "??"}


def _answers(machine: Machine, since: str) -> dict[str, str]:
    """Mark by question, as the journal has them."""
    words = [line.split(maxsplit=2) for line in machine.journal(DOCTOR, since)]
    return {found[1].rstrip(":"): found[0] for found in words if found[0] in ANSWERED}


def test_the_timer_asks_and_the_journal_has_the_answers(changed: Machine) -> None:
    since = changed.now()
    assert changed.shown("UnitFileState", TIMER) == "enabled"
    assert changed.shown("NextElapseUSecRealtime", TIMER) != ""
    changed.drop_in(TIMER, "[Timer]\nOnActiveSec=1\nAccuracySec=100ms\nRandomizedDelaySec=0\n")
    changed.systemctl("restart", TIMER)
    assert soon(lambda: len(_answers(changed, since)) >= 11)
    answers = _answers(changed, since)
    assert {answers[question] for question in ("configuration", "engines", "key_store", "key_log", "daemon")} == {"ok"}
    assert {question: mark for question, mark in answers.items() if mark not in ("ok", "--")} == {}
    assert soon(lambda: changed.shown("ActiveState", DOCTOR) == "inactive")
    assert changed.shown("Result", DOCTOR) == "success"


def test_what_needs_doing_is_in_the_journal_with_its_remedy_and_is_no_failed_unit(changed: Machine) -> None:
    changed.systemctl("stop", "faceverifyd.socket", "faceverifyd.service")
    since = changed.now()
    changed.systemctl("start", DOCTOR)
    assert _answers(changed, since)["daemon"] == "!!"
    assert any("systemctl start faceverifyd" in line for line in changed.journal(DOCTOR, since))
    assert changed.shown("Result", DOCTOR) == "success"


def _asked(machine: Machine, *ids: str) -> dict[str, dict[str, Any]]:
    """Doctor's answers, by id."""
    only = [word for name in ids for word in ("--only", name)]
    return {row["id"]: row for row in json.loads(machine.run(FVCTL, "doctor", "--json", *only, check=False))}


def _follow(machine: Machine, remedy: str) -> None:
    """Type the commands of a remedy, as root inside; its words around them are for people."""
    typed = re.findall(r"(?:^|[:;] )((?:systemctl|cp|chmod) [^;]*)", remedy)
    assert typed, remedy
    for command in typed:
        machine.run("sh", "-ec", command)


def test_a_unit_that_lost_a_line_and_a_fault_in_the_journal_are_named_and_mended(device: Machine) -> None:
    store = f"{STATE_FOLDER}/keys/keystore.json"
    device.run("sed", "-i", "/^NoNewPrivileges=/d", f"/etc/systemd/system/{SERVICE}")
    device.run("chmod", "644", store)
    assert device.get(JWKS_PATH).status == 503
    device.run("chmod", "600", store)
    answers = _asked(device, "hardening", "unit", "log_errors")
    assert {row["status"] for row in answers.values()} == {"needs_doing"}
    assert answers["hardening"]["seen"] == f"{SERVICE}: NoNewPrivileges=yes is missing"
    assert "was changed on the disk" in answers["unit"]["seen"]
    assert answers["log_errors"]["evidence"] == {"KeyRefused": 1}
    assert f"chmod 600 {store}" in answers["log_errors"]["remedy"]
    _follow(device, answers["hardening"]["remedy"])  # the last words of all three are the same: a restart


def test_units_that_are_stopped_or_disabled_are_named_and_started(device: Machine) -> None:
    device.systemctl("disable", SERVICE)
    device.systemctl("stop", SOCKET, SERVICE)
    answers = _asked(device, "unit", "socket")
    assert "does not come up with the machine" in answers["unit"]["seen"]
    assert "no terminal can connect" in answers["socket"]["seen"]
    _follow(device, answers["unit"]["remedy"])
    _follow(device, answers["socket"]["remedy"])
    stopped = _asked(device, "unit")["unit"]
    assert "is inactive" in stopped["seen"]
    _follow(device, stopped["remedy"])


def test_mended_of_everything_the_device_is_well_and_proves_itself(device: Machine) -> None:
    answers = _asked(device)
    assert {name: row["seen"] for name, row in answers.items() if row["status"] not in ("ok", "not_applicable")} == {}
    assert float(answers["hardening"]["evidence"]["exposure"]) <= 1.9
    assert {row["status"] for row in json.loads(device.run(FVCTL, "selftest", "--json"))} == {"ok"}
