"""The service, as far as an installation touches it: loaded anew, started, watched."""

from __future__ import annotations

import subprocess
from typing import Protocol

from daemon.errors import ReleaseRefused

SERVICE = "faceverifyd.service"
_STARTED = ("faceverifyd.socket", SERVICE, "faceverifyd-doctor.timer")
_JOURNAL = "journalctl -u faceverifyd says why."


class Units(Protocol):
    """Whoever starts and stops the daemon."""

    def enable(self) -> None:
        """The daemon is to be started at each boot."""

    def restart(self, within_s: float) -> None:
        """The daemon ends and begins anew; returns once it is ready.

        Args:
            within_s: seconds that it may take.

        Raises:
            ReleaseRefused: it is not ready in time.
        """

    def stop(self) -> None:
        """The daemon ends; nobody starts it."""

    def is_serving(self) -> bool:
        """Whether it is ready now."""

    def restarts(self) -> int:
        """How often it was started again by itself, since it was started."""

    def machine_stops(self) -> bool:
        """Whether the machine is shutting down: what fails then is no fault of a release."""


class Systemd:
    """The device's own service manager."""

    def enable(self) -> None:
        """See `Units`."""
        _systemctl("daemon-reload")
        _systemctl("enable", "-q", *_STARTED)
        _systemctl("start", *(unit for unit in _STARTED if unit != SERVICE))

    def restart(self, within_s: float) -> None:
        """See `Units`."""
        _systemctl("daemon-reload")
        _systemctl("reset-failed", SERVICE, check=False)
        _systemctl("start", _STARTED[0])
        _systemctl("restart", SERVICE, within_s=within_s)
        if not self.is_serving():
            raise ReleaseRefused(f"the service is not ready: {self._shown('StatusText')}", _JOURNAL)

    def stop(self) -> None:
        """See `Units`."""
        _systemctl("stop", *_STARTED, check=False)
        _systemctl("disable", "-q", *_STARTED, check=False)
        _systemctl("daemon-reload")

    def is_serving(self) -> bool:
        """See `Units`."""
        return self._shown("ActiveState") == "active"

    def restarts(self) -> int:
        """See `Units`."""
        return int(self._shown("NRestarts") or 0)

    def machine_stops(self) -> bool:
        """See `Units`; a manager that cannot be asked any more has ended already."""
        command = ["systemctl", "is-system-running"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return said in ("stopping", "offline", "unknown", "")

    def _shown(self, name: str) -> str:
        command = ["systemctl", "show", "--value", "--property", name, SERVICE]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _systemctl(*arguments: str, check: bool = True, within_s: float = 120) -> None:
    command = ["systemctl", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        raise ReleaseRefused(f"the service is not ready within {within_s:g} s", _JOURNAL) from None
    if check and done.returncode:
        raise ReleaseRefused(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}", _JOURNAL)
