"""Is it the daemon that listens where the daemon should?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well

_LISTEN = "0A"
"""Source: linux/net/tcp_states.h, TCP_LISTEN, as proc_net_tcp writes it."""

_DAEMON, _SERVICE_MANAGERS = "python:daemon.gunicorn_conf", ("systemd", "init")
"""The daemon's command line, and who holds its port for the socket unit while it is away."""


def _look(device: Device) -> Finding:
    binds = [bind for bind in device.load().server.bind if not bind.startswith("unix:")]
    if not binds:
        return no_matter("the daemon listens on no port")
    held = {port: holder for port in (int(bind.rpartition(":")[2]) for bind in binds) for holder in _holders(port)}
    foreign = {str(port): holder for port, holder in held.items() if not _is_ours(holder)}
    if foreign:
        port, holder = next(iter(foreign.items()))
        return to_mend(
            f"port {port} is held by another program: {holder}",
            f"Stop it, or name another port in server.bind; who it is: ss -ltnp 'sport = :{port}'",
            **foreign,
        )
    return well("the daemon has its ports" if held else "nobody else has the daemon's ports", ports=sorted(held))


def _is_ours(command_line: str) -> bool:
    program = Path(command_line.partition(" ")[0]).name
    return _DAEMON in command_line or program in _SERVICE_MANAGERS


def _holders(port: int) -> Iterator[str]:
    """Command lines of who listens on a port; of another account's program no more than that it is there."""
    sockets = set(_listening(port))
    names = [name for process in Path("/proc").glob("[0-9]*") for name in _name_where_it_has(process, sockets)]
    if sockets:
        yield from set(names) or {"its name is for root to see"}


def _listening(port: int) -> Iterator[str]:
    """Inodes of sockets. Source: Documentation/networking/proc_net_tcp.rst."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


def _name_where_it_has(process: Path, sockets: set[str]) -> Iterator[str]:
    with suppress(OSError):  # it has ended, or is another account's
        if any(_target(descriptor) in sockets for descriptor in (process / "fd").iterdir()):
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _target(descriptor: Path) -> str:
    with suppress(OSError):
        return os.readlink(descriptor)
    return ""


CHECK = Check("port", "Is it the daemon that listens where the daemon should?", _look)
