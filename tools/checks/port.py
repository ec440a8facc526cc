"""Is it the daemon that listens where the daemon should?"""

from __future__ import annotations

from pathlib import Path

from daemon.config import Config
from tools.checks.finding import AS_ROOT, Check, Device, Finding, no_matter, to_mend, unknown, well
from tools.processes import holders, listening
from tools.service_manager import SOCKET, is_running, shown

_SERVICE_MANAGERS = ("systemd", "init")
"""Who holds the daemon's port for the socket unit while it is away."""


def ports(config: Config) -> list[int]:
    """The ports that the configuration binds."""
    return [int(bind.rpartition(":")[2]) for bind in config.server.bind if not bind.startswith("unix:")]


def _look(device: Device) -> Finding:
    wanted = ports(device.load())
    if not wanted:
        return no_matter("the daemon listens on no port")
    held = {port: holders(sockets) for port in wanted if (sockets := listening(port))}
    nameless = [str(port) for port, processes in held.items() if not processes and not _is_systemds(device, port)]
    foreign = {
        str(port): process
        for port, processes in held.items()
        for process in processes
        if not process.is_daemon and Path(process.command_line.partition(" ")[0]).name not in _SERVICE_MANAGERS
    }
    if foreign:
        port, process = next(iter(foreign.items()))
        return to_mend(
            f"port {port} is held by another program: {process.command_line}",
            f"Stop it: kill {process.folder.name}; or name another port in server.bind",
            **{port: process.command_line for port, process in foreign.items()},
        )
    if nameless:
        return unknown(f"somebody listens on port {', '.join(nameless)}, whose name is for root to see", AS_ROOT)
    return well("the daemon has its ports" if held else "nobody else has the daemon's ports", ports=sorted(held))


def _is_systemds(device: Device, port: int) -> bool:
    """Whether systemd says that it holds the port for the daemon: a sandboxed root cannot look for itself."""
    return is_running(device.root) and f":{port} (Stream)" in shown(SOCKET, ("Listen",))["Listen"]


CHECK = Check("port", "Is it the daemon that listens where the daemon should?", _look)
