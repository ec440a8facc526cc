"""What the service manager is told reaches it, and without one nothing fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.notify import take_service_manager


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address, and the socket of a service manager that listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(5)
        manager.bind(str(tmp_path / "notify"))
        yield str(tmp_path / "notify"), manager


def test_a_message_has_a_line_for_each_assignment(listening: tuple[str, socket.socket]) -> None:
    address, manager = listening
    take_service_manager({"NOTIFY_SOCKET": address}).tell("READY=1", "STATUS=serving")
    assert manager.recv(4096) == b"READY=1\nSTATUS=serving"  # source: sd_notify(3)


def test_an_abstract_address_is_reached() -> None:
    name = f"faceverifyd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(5)
        manager.bind("\0" + name)
        take_service_manager({"NOTIFY_SOCKET": "@" + name}).tell("WATCHDOG=1")
        assert manager.recv(4096) == b"WATCHDOG=1"


def test_nobody_else_finds_the_service_manager_afterwards() -> None:
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1", "LANG": "C"}
    take_service_manager(environment)
    assert environment == {"LANG": "C"}


@pytest.mark.parametrize("address", [None, "/nowhere/at/all"])
def test_where_nobody_listens_nothing_fails(address: str | None) -> None:
    take_service_manager({"NOTIFY_SOCKET": address} if address else {}).tell("READY=1")


def test_the_watchdog_s_time_is_in_seconds() -> None:
    meant = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    assert take_service_manager(meant).watchdog_s == 30.0


@pytest.mark.parametrize("meant", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
def test_a_watchdog_that_waits_for_nobody_or_another_has_no_time(meant: dict[str, str]) -> None:
    assert take_service_manager(dict(meant)).watchdog_s is None
