"""What hangs or dies is started anew, and terminals only wait longer: connections wait in the socket meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.running_daemon import Answer
from tests.systemd.appliance import FVCTL, STATE_FOLDER
from tests.systemd.machine import SERVICE, Machine, Terminals, soon

STORE = f"{STATE_FOLDER}/keys/keystore.json"


@pytest.fixture
def impatient(changed: Machine) -> Machine:
    """A device that takes seconds for a hang where others take half a minute."""
    changed.configure(health={"stuck_s": 1.0})
    changed.drop_in(SERVICE, "[Service]\nWatchdogSec=4\nRestartSec=4\n")
    changed.systemctl("restart", SERVICE)
    return changed


def _asking(ask: Callable[[], Answer], answers: list[int]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(ask().status))
    thread.start()
    return thread


def _ended_by_the_watchdog(machine: Machine, since: str) -> bool:
    return any("Watchdog timeout" in line for line in machine.journal(since=since))


def test_a_worker_that_stands_still_is_ended_and_who_waited_is_answered(
    impatient: Machine, form: dict[str, str]
) -> None:
    since, master, answers = impatient.now(), impatient.master, list[int]()
    impatient.kill("STOP", impatient.worker)
    waiting = _asking(lambda: impatient.verify(form), answers)
    assert soon(lambda: _ended_by_the_watchdog(impatient, since))
    waiting.join(60)
    assert answers == [200]
    assert impatient.master != master


@contextmanager
def _unreadable_store(machine: Machine) -> Iterator[None]:
    """Within the block, whoever reads the key store waits until somebody writes to it."""
    machine.run("mv", STORE, f"{STORE}.aside")
    try:
        machine.run("mkfifo", "-m", "0600", STORE)
        machine.run("chown", "faceverifyd:", STORE)
        yield
    finally:
        machine.run("mv", f"{STORE}.aside", STORE)


def test_a_request_that_hangs_ends_the_daemon_and_the_next_one_is_answered(
    impatient: Machine, form: dict[str, str]
) -> None:
    since = impatient.now()
    with Terminals(lambda: impatient.verify(form), count=1, wait=False) as terminals:
        with _unreadable_store(impatient):
            assert soon(lambda: _ended_by_the_watchdog(impatient, since), within_s=20)
            before = len(terminals.statuses)
        assert soon(lambda: 200 in terminals.statuses[before:])
    assert "hung" in [event["event"] for event in impatient.events(since=since)]
    assert "!! restarts: the daemon hung " in impatient.run(FVCTL, "doctor", "--only", "restarts", check=False)


@pytest.fixture
def restarts(device: Machine) -> Callable[[], int]:
    """How often systemd has started the service anew since the test began."""
    before = int(device.shown("NRestarts"))
    return lambda: int(device.shown("NRestarts")) - before


def test_a_worker_that_dies_is_followed_by_another(
    device: Machine, form: dict[str, str], restarts: Callable[[], int]
) -> None:
    master, worker = device.master, device.worker
    device.kill("KILL", worker)
    assert device.verify(form).status == 200
    assert device.worker != worker
    assert (device.master, restarts()) == (master, 0)


def test_a_master_that_dies_is_started_anew_and_who_connected_meanwhile_is_answered(
    device: Machine, form: dict[str, str], restarts: Callable[[], int]
) -> None:
    master, answers = device.master, list[int]()
    device.kill("KILL", master)
    assert soon(lambda: device.shown("ActiveState") != "active" or device.master != master)
    waiting = [_asking(lambda: device.verify(form), answers) for _ in range(4)]
    for thread in waiting:
        thread.join(60)
    assert answers == [200] * 4
    assert restarts() == 1
