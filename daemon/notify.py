"""What the service manager is told: ready, alive, stopping. Source: sd_notify(3), "Well-known assignments".

Without a service manager nothing is told and nothing fails.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

_SOCKET, _WATCHDOG_US, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
"""Variables that the service manager sets. Source: sd_notify(3), sd_watchdog_enabled(3)."""


class ServiceManager:
    """Tells the service manager that started this process, if any.

    Attributes:
        watchdog_s: it wants to hear from the device within so many seconds; None where it does not wait.
    """

    def __init__(self, address: str | None, watchdog_s: float | None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s

    def tell(self, *lines: str) -> None:
        """One message; that nobody listens any more is no reason to stop serving."""
        if self._address is None:
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.sendto("\n".join(lines).encode(), address)


def take_service_manager(environment: MutableMapping[str, str]) -> ServiceManager:
    """The service manager that an environment names; taken out of it, so that nobody else tells it anything.

    gunicorn would say that the service is ready before there is a worker.
    """
    address = environment.pop(_SOCKET, None)
    wait_us = environment.pop(_WATCHDOG_US, None)
    meant = environment.pop(_WATCHDOG_PID, None)
    ours = meant is None or meant == str(os.getpid())
    return ServiceManager(address, int(wait_us) / 1e6 if wait_us and wait_us.isdigit() and ours else None)
