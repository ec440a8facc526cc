"""Who listens on a port, and what the kernel tells of a process. Source: proc(5)."""

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
    """A process that holds a port.

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
        return self.told("status").partition("PPid:")[2].split(maxsplit=1)[0]

    def told(self, name: str) -> str:
        """One of the kernel's files about it.

        Raises:
            OSError: it has ended, or this account may not see it.
        """
        return (self.folder / name).read_text("utf-8")


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
    folders = Path("/proc").glob("[0-9]*") if sockets else ()
    return [process for folder in folders for process in _process_where_it_has(folder, sockets)]


def _process_where_it_has(folder: Path, sockets: set[str]) -> Iterator[Process]:
    with suppress(OSError):  # it has ended, or is another account's
        if any(_target(descriptor) in sockets for descriptor in (folder / "fd").iterdir()):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            yield Process(folder, line)


def _target(descriptor: Path) -> str:
    with suppress(OSError):
        return os.readlink(descriptor)
    return ""
