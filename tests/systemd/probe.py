"""Tries, from inside the sandbox, what it must forbid; prints as JSON what came of each: "done", or the error's name.

Run by systemd as part of the service; needs nothing but Python.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_NAMESPACE = 0x10000000, 0x00020000
"""Source: unshare(2), CLONE_NEWUSER and CLONE_NEWNS."""


def _called(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), "")


def _write(path: str) -> None:
    Path(path).write_text("x")
    Path(path).unlink()


def _connect(address: str) -> None:
    with socket.socket() as out:
        out.settimeout(3)
        out.connect((address, 3000))


def _send(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", (address, 3000))


def _setuid_file() -> None:
    with suppress(FileNotFoundError):
        os.unlink("/tmp/probe")  # noqa: S108 - its own
    descriptor = os.open("/tmp/probe", os.O_CREAT | os.O_WRONLY, 0o600)  # noqa: S108 - its own
    os.fchmod(descriptor, 0o4755)


def _executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _signal_the_first_process() -> None:
    os.kill(1, 0)


def _become_root() -> None:
    os.setuid(0)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write its state": lambda: _write("/var/lib/faceverifyd/probe"),
    "write the configuration": lambda: _write("/etc/faceverifyd/probe"),
    "write the program": lambda: _write("/opt/faceverifyd/current/daemon/probe"),
    "write /usr": lambda: _write("/usr/probe"),
    "write /var": lambda: _write("/var/probe"),
    "write a setting of the kernel": lambda: _write("/proc/sys/kernel/probe"),
    "read /root": lambda: os.listdir("/root"),
    "read the encrypted credential": lambda: Path("/etc/credstore.encrypted/faceverifyd-kek").read_bytes(),
    "read another's process": lambda: os.stat("/proc/1/status"),
    "signal the first process": _signal_the_first_process,
    "become root": _become_root,
    "a setuid file": _setuid_file,
    "a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "connect to loopback": lambda: _connect("127.0.0.1"),
    "connect elsewhere": lambda: _connect("192.0.2.1"),
    "send elsewhere": lambda: _send("192.0.2.1"),
    "a user namespace": lambda: _called(LIBC.unshare(NEW_USER)),
    "a mount namespace": lambda: _called(LIBC.unshare(NEW_NAMESPACE)),
    "mount": lambda: _called(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "another personality": lambda: _called(LIBC.personality(0x0008)),
    "trace a process": lambda: _called(LIBC.ptrace(16, os.getppid(), 0, 0)),
    "memory that is written and run": _executable_memory,
    "open a disk": lambda: os.mknod("/var/lib/faceverifyd/disk", 0o60600, os.makedev(8, 0)),
}


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


if __name__ == "__main__":
    signal.alarm(60)
    os.write(1, json.dumps({name: _outcome(attempt) for name, attempt in ATTEMPTS.items()}).encode() + b"\n")
