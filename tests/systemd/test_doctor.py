"""The timer asks the doctor, and the journal has what it found."""

from __future__ import annotations

from tests.systemd.machine import Machine, soon

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
    assert set(answers.values()) == {"ok", "--"}
    assert soon(lambda: changed.shown("ActiveState", DOCTOR) == "inactive")
    assert changed.shown("Result", DOCTOR) == "success"


def test_what_needs_doing_is_in_the_journal_with_its_remedy_and_is_no_failed_unit(changed: Machine) -> None:
    changed.systemctl("stop", "faceverifyd.socket", "faceverifyd.service")
    since = changed.now()
    changed.systemctl("start", DOCTOR)
    assert _answers(changed, since)["daemon"] == "!!"
    assert any("systemctl start faceverifyd" in line for line in changed.journal(DOCTOR, since))
    assert changed.shown("Result", DOCTOR) == "success"
