"""A booted container: commands inside, requests into its network, its journal.

It keeps nothing: what it writes is in memory, and all of it is gone with the process that holds it. The tests may be
killed at any moment and leave neither a mount nor a process.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import yaml

from daemon.api.verification import PATH
from tests.running_daemon import FORM, Answer, ask
from tests.systemd.appliance import CONFIG, installation, shipped_config

SERVICE, SOCKET, ENGINES = "faceverifyd.service", "faceverifyd.socket", "faceverifyd-engines.service"

_DROP_INS = "/run/systemd/system"

_NETWORK = 0x40000000
"""Source: setns(2), CLONE_NEWNET."""

_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")

_INSIDE = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")

_HIERARCHIES = tuple(Path("/sys/fs/cgroup", name) for name in ("", "systemd", "unified"))
"""Where control groups may be: all in one, or systemd's own beside the others."""

_BOOT = """
for group in $4; do
    mkdir "$group"
    echo $$ > "$group/cgroup.procs"
done
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
SYSTEMD_OFFLINE=1 chroot "$1/root" sh -ec "$3"
umount "$1/root/proc"
until setpriv --pdeathsig KILL systemd-nspawn -q -D "$1/root" --register=no --keep-unit --private-network \\
    --console=pipe --capability=CAP_BPF --system-call-filter=bpf -b systemd.unified_cgroup_hierarchy=1
do
    [ $? -eq 133 ] || exit 1
done
"""
"""The machine: $1 an empty folder, $2 the layers of its disk, $3 how it is installed, $4 control groups of its own: two
machines in one would end each other's services.

BPF is what IPAddressDeny= is made of. With 133 systemd-nspawn asks to be started again. Source: systemd,
`src/nspawn/nspawn.c`, EXIT_FORCE_RESTART.
"""


class Machine:
    """A machine that is on for the length of a block.

    Attributes:
        console: file with what it printed while it booted.

    Args:
        folder: an empty one, for its files.
        layers: folders that together are its disk, the first on top; not changed.
        install: what is done inside before it is switched on.
    """

    def __init__(self, folder: Path, layers: Sequence[Path], install: str | None = None) -> None:
        self._folder = folder / "machine"
        self._layers = layers
        self._install = installation() if install is None else install
        name = f"machine-{uuid.uuid4()}"  # one name: systemd wants the same path in all of them
        self._groups = [at / name for at in _HIERARCHIES if (at / "cgroup.procs").exists()]
        self._is_changed = False
        self.console = folder / "console"

    def __enter__(self) -> Machine:
        self._folder.mkdir()
        layers, groups = ":".join(map(str, self._layers)), " ".join(map(str, self._groups))
        held = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation=private")
        command = (*held, "sh", "-ec", _BOOT, "sh", str(self._folder), layers, self._install, groups)
        with self.console.open("wb") as console:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self._leader = self._wait_for_leader()
        return self

    @property
    def disk(self) -> Path:
        """Its root folder, as it is seen from this side."""
        return Path(f"/proc/{self._leader}/root")

    def _wait_for_leader(self, former: int = 0) -> int:
        """The process id, on this side, of its first process, which is not the one before."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            for nspawn in _children(self._process.pid, "systemd-nspawn"):
                for leader in _children(nspawn, "systemd"):
                    if leader != former:
                        return leader
            time.sleep(0.05)
        raise RuntimeError(f"the machine does not boot:\n{self.console.read_text()}")

    def cut_power(self) -> None:
        """Everything inside ends at once, and it boots again. What the kernel had not written is not lost."""
        former = self._leader
        self.run("systemctl", "reboot", "--force", "--force", check=False)
        self._leader = self._wait_for_leader(former)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run("systemctl", "poweroff", check=False)
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(15)
        soon(lambda: all(map(_is_removed, self._groups)), within_s=10)

    def run(self, *command: str, check: bool = True, text: str | None = None) -> str:
        """What a command inside printed, errors included.

        Args:
            command: program and arguments.
            check: it must succeed.
            text: what it reads.
        """
        inside = ("nsenter", "--target", str(self._leader), *_INSIDE, "--", *_ENVIRONMENT, *command)
        done = subprocess.run(
            inside, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, check=False
        )
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def systemctl(self, *arguments: str) -> None:
        """Run systemctl; it must succeed, or what the journal has is shown."""
        try:
            self.run("systemctl", *arguments)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run('journalctl', '-n', '40', '--no-pager')}") from None

    def shown(self, name: str, unit: str = SERVICE) -> str:
        """A property of a unit, as systemd has it."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    @property
    def master(self) -> int:
        """The process id of gunicorn's master, inside."""
        return int(self.shown("MainPID"))

    @property
    def worker(self) -> int:
        """The process id of its one worker, inside."""
        master = self.master
        (worker,) = self.run("cat", f"/proc/{master}/task/{master}/children").split()
        return int(worker)

    def kill(self, signal: str, process: int) -> None:
        """Send a signal, named without its SIG, to a process inside."""
        self.run("sh", "-c", f"kill -{signal} {process}")

    def write(self, path: str, content: str) -> None:
        """A file inside, with its folder; one that is there keeps owner and permissions."""
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("sh", "-c", f"cat > {path}", text=content)

    def drop_in(self, unit: str, content: str) -> None:
        """Settings of a unit, until the next `restore`."""
        self._is_changed = True
        self.write(f"{_DROP_INS}/{unit}.d/test.conf", content)
        self.systemctl("daemon-reload")

    def configure(self, **changes: dict[str, Any]) -> None:
        """Give it the shipped configuration with other values in the sections named."""
        self._is_changed = True
        document = shipped_config()
        for section, values in changes.items():
            document[section] |= values
        self.write(CONFIG, yaml.safe_dump(document))

    def restore(self) -> None:
        """Units and configuration as installed, and the daemon serving."""
        if self._is_changed:
            self.run("sh", "-c", f"rm -rf {_DROP_INS}/faceverifyd*.d")
            self.configure()
            self.systemctl("daemon-reload")
            self.systemctl("stop", SOCKET, SERVICE)
            self._is_changed = False
        self.systemctl("start", SOCKET, SERVICE)

    def now(self) -> str:
        """A place in the journal, for `journal`."""
        return self.run("date", "+%s.%N").strip()

    def journal(self, unit: str = SERVICE, since: str = "0") -> list[str]:
        """What a unit printed, line by line."""
        lines = self.run("journalctl", "-o", "cat", "--no-pager", f"--since=@{since}", f"--unit={unit}")
        return lines.splitlines()

    def events(self, unit: str = SERVICE, since: str = "0") -> list[dict[str, Any]]:
        """The lines of a unit's journal that are events of ours."""
        return [json.loads(line) for line in self.journal(unit, since) if line.startswith("{")]

    @contextmanager
    def network(self) -> Iterator[None]:
        """Sockets that this thread makes within the block belong to the machine's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        ours, theirs = "/proc/thread-self/ns/net", f"/proc/{self._leader}/ns/net"
        with open(ours, "rb") as back, open(theirs, "rb") as there:
            assert libc.setns(there.fileno(), _NETWORK) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(back.fileno(), _NETWORK) == 0, os.strerror(ctypes.get_errno())

    def connect(self, port: int = 3000, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """A connection to the daemon; it may wait in the socket until there is one."""
        with self.network():
            plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        return connection

    def get(self, path: str, tls: ssl.SSLContext | None = None) -> Answer:
        """GET a path on a connection of its own."""
        connection = self.connect(tls=tls)
        try:
            return ask(connection, "GET", path)
        finally:
            connection.close()

    def verify(
        self, form: dict[str, str], tls: ssl.SSLContext | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """POST a form to the verification endpoint, on a connection of its own."""
        connection = self.connect(tls=tls)
        try:
            return ask(connection, "POST", PATH, urlencode(form).encode(), {"Content-Type": FORM} | (headers or {}))
        finally:
            connection.close()


def _children(process: int, name: str) -> list[int]:
    """The children of a process that have a name; none of a process that has ended."""
    with suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == f"{name}\n"]
    return []


def _is_removed(group: Path) -> bool:
    """Remove a control group, and say whether it is gone: what ended in it may still be in it for a moment."""
    for folder in (*sorted(group.rglob("*/"), reverse=True), group):
        with suppress(OSError):  # one of the kernel's files, or a group that is not empty yet
            folder.rmdir()
    return not group.exists()


def soon(true: Callable[[], object], within_s: float = 60) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + within_s
    while not true() and time.monotonic() < until:
        time.sleep(0.1)
    return bool(true())


class Terminals:
    """Terminals that ask again and again, a connection for each request, for the length of a block.

    Attributes:
        answers: what they got.
        failures: what they got instead of an answer.

    Args:
        ask: one request; called from several threads.
        count: how many there are.
        wait: until the first has its answer.
    """

    def __init__(self, ask: Callable[[], Answer], count: int = 3, wait: bool = True) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._ask = ask
        self._wait = wait
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self) -> Terminals:
        for thread in self._threads:
            thread.start()
        assert not self._wait or soon(lambda: self.answers or self.failures)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._ask_once()

    def _ask_once(self) -> None:
        try:
            self.answers.append(self._ask())
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))

    @property
    def statuses(self) -> list[int]:
        """The HTTP statuses of the answers."""
        return [answer.status for answer in self.answers]
