"""A device that is set up as for production, with a daemon that serves, to be broken and mended piece by piece."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from daemon.sealed.kek import CREDENTIALS
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import REPOSITORY, STATE, Site
from tests.end_to_end.conftest import soon
from tests.running_daemon import RunningDaemon
from tools.cli import main
from tools.unit_files import SHIPPED

UNIT = "etc/systemd/system/faceverifyd.service"

_COMMAND = re.compile(r"(?:^|[:;,&] |\band )((?:fvctl|chmod|chown|kill|prlimit|mount|cp|swapoff|/\S*python\S*) [^;&]+)")
"""What a remedy tells to type: from the program to the next punctuation that ends a command."""

_TREE = {
    "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 1000 0 5\n",
    "proc/sys/kernel/core_pattern": "|/usr/lib/systemd/systemd-coredump %P\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "52500\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "99000\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_type": "critical\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_temp": "104500\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device1/cur_state": "0\n",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "0\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >\n< PM_CONFIG DEFAULT=0 >\n",
    "var/lib/nvpmodel/status": "pmode:0000 fmode:quiet\n",
}
"""What a Jetson Orin Nano tells of itself, by the names that Jetson Linux documents; no machine was copied."""


class Box:
    """The device.

    Attributes:
        folder: of everything.
        state: of keys and terminals, on a disk of its own where one could be mounted.
        config: the configuration file.
        document: what it says.
        root: where /proc, /sys and /etc of the device are.
        daemon: the one that serves.
        other: a program that is in its way.
    """

    def __init__(self, folder: Path, engines: Path) -> None:
        self.folder, self.state, self.root = folder, folder / "state", folder / "root"
        self.config = folder / "faceverifyd.yaml"
        self.other: subprocess.Popen[bytes] | None = None
        made = Site(self.state, engines)
        self.document: dict[str, Any] = made.document
        self.credentials = folder / "credentials"
        self.credentials.mkdir()
        shutil.move(self.state / "kek", self.credentials / "faceverifyd-kek")
        shutil.copytree(engines, folder / "engines", symlinks=True)
        shutil.copytree(REPOSITORY / "trt_engines", folder / "networks")
        (folder / "cache").symlink_to(STATE / "cache")
        self._describe()
        self._lay_out()

    def _describe(self) -> None:
        """A production site with mutual TLS."""
        files = {name: str(self.state / name) for name in ("device.pem", "device.key", "authority.pem")}
        self.document["environment"] = "production"
        self.document["keys"] |= {"kek": "credential", "file": None}
        self.document["sealed"] |= {"legacy": False, "allow_published_key": False}
        self.document["inference"] |= {
            "engines": str(self.folder / "engines"),
            "networks": str(self.folder / "networks"),
        }
        self.document["terminals"] |= {"authentication": "mutual_tls", "registry": str(self.state / "terminals.yaml")}
        self.document["server"]["tls"] = dict(zip(("certificate", "key", "terminals_ca"), files.values(), strict=True))

    def _lay_out(self) -> None:
        for name, content in _TREE.items():
            self.tree(name, content)
        unit = self.root / UNIT
        unit.parent.mkdir(parents=True)
        shutil.copy(SHIPPED / "faceverifyd.service", unit)
        drop_ins = unit.with_name("faceverifyd.service.d")
        drop_ins.mkdir()
        shutil.copy(SHIPPED / "cpu.conf", drop_ins)

    @property
    def environment(self) -> dict[str, str]:
        """What systemd hands to daemon and tools."""
        return {CREDENTIALS: str(self.credentials)}

    @property
    def store(self) -> Path:
        """The key store's file."""
        return Path(self.document["keys"]["store"]) / STORE_FILE

    @property
    def registry(self) -> Path:
        """The file of terminals."""
        return Path(self.document["terminals"]["registry"])

    def tree(self, name: str, content: str) -> None:
        """What the device's kernel, or its /etc, says."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def as_told(self, name: str) -> None:
        """The same as at first."""
        self.tree(name, _TREE[name])

    def write(self, **changes: dict[str, Any]) -> None:
        """The configuration, with these values in the sections named."""
        document = {
            name: values | changes[name] if name in changes else values for name, values in self.document.items()
        }
        self.config.write_text(yaml.safe_dump(document))

    def fvctl(self, *words: str) -> tuple[int, str]:
        """Exit code and output of a command on this device."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = main([*words, "--config", str(self.config)])
        return code, printed.getvalue()

    def doctor(self, *only: str) -> dict[str, dict[str, Any]]:
        """Doctor's answers, by id."""
        asked = [word for name in only for word in ("--only", name)]
        code, printed = self.fvctl("doctor", "--json", "--root", str(self.root), *asked)
        answers = {row["id"]: row for row in json.loads(printed)}
        wrong = {row["status"] for row in answers.values()} - {"ok", "not_applicable"}
        assert code == (0 if not wrong else 1 if "needs_doing" in wrong else 2)
        return answers

    def start(self) -> None:
        """What `systemctl start faceverifyd` does."""
        trust = ssl.create_default_context(cafile=self.document["server"]["tls"]["terminals_ca"])
        self.daemon = RunningDaemon(self.config, self.folder / "daemon.log", self.environment, tls=trust)
        # Its port is the device's from now on.
        self.document["server"]["bind"] = [f"127.0.0.1:{self.daemon.port}"]
        self.daemon.__enter__()

    def stop(self) -> None:
        """End it, however it is, with all that it started."""
        for process in (self.daemon.process.pid, *self.workers()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.daemon.process.wait(30)
        assert soon(lambda: not listens(self.daemon.port))  # its children are nobody's to wait for

    def workers(self) -> list[int]:
        """Process ids of gunicorn's children."""
        with contextlib.suppress(OSError):
            master = self.daemon.process.pid
            return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
        return []

    def follow(self, remedy: str) -> None:
        """Type what a remedy says, word by word."""
        typed = commands(remedy)
        assert typed or "systemctl" in remedy, remedy
        for words in typed:
            if words[0] == "fvctl":
                assert self.fvctl(*words[1:])[0] == 0, words
            else:
                subprocess.run(words, check=True, capture_output=True)
        if "systemctl start faceverifyd" in remedy or "systemctl restart faceverifyd" in remedy:
            self.stop()
            self.start()


def listens(port: int) -> bool:
    """Whether anybody does, on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def commands(remedy: str) -> list[list[str]]:
    """The commands in a remedy that do not need a systemd."""
    return [shlex.split(found) for found in _COMMAND.findall(remedy)]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system in memory, just large enough for a device's keys to count as well kept."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=264m,nr_inodes=1100", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def lines_of(command: Sequence[str]) -> list[str]:
    """What a shell's pipeline prints."""
    return subprocess.run(["sh", "-c", *command], check=True, capture_output=True, text=True).stdout.splitlines()
