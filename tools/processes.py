"""Who listens on a port, who the daemon is, and what the kernel tells of a process. Source: proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
"""Source: linux/net/tcp_states.h, TCP_LISTEN, as proc_net_tcp writes it."""

_DAEMON = "python:daemon.gunicorn_conf"
"""In the daemon's command line."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process.

    Attributes:
        folder: its folder below /proc.
        command_line: as it was started.
    """

    folder: Path
    command_line: str

    @property
    def is_daemon(self) -> bool:
        """Whether it is a process of the daemon."""
        return _DAEMON in self.command_line

    @property
    def parent(self) -> str:
        """Process id of who started it."""
        return "".join(self.told("status").partition("PPid:")[2].split(maxsplit=1)[:1])

    def told(self, name: str) -> str:
        """One of the kernel's files about it; empty where it has ended meanwhile."""
        try:
            return (self.folder / name).read_text("utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return ""


def daemons() -> list[Process]:
    """The processes of every daemon on this machine, told by what they were started as: anybody may see that."""
    return [process for folder in _folders() for process in _process(folder) if process.is_daemon]


def listening(port: int) -> set[str]:
    """Sockets that listen on a port, as the descriptors of processes name them. Source: proc_net_tcp.rst."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def holders(sockets: set[str]) -> list[Process]:
    """The processes that hold one of these sockets, as far as this account may see them."""
    folders = _folders() if sockets else ()
    return [process for folder in folders if _has(folder, sockets) for process in _process(folder)]


def _folders() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _process(folder: Path) -> Iterator[Process]:
    with suppress(OSError):  # it has ended
        line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        yield Process(folder, line)


def _has(folder: Path, sockets: set[str]) -> bool:
    with suppress(OSError):  # it has ended, or is another account's
        return any(_target(descriptor) in sockets for descriptor in (folder / "fd").iterdir())
    return False


def _target(descriptor: Path) -> str:
    with suppress(OSError):
        return os.readlink(descriptor)
    return ""
