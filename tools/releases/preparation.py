"""What a release needs on this very device before it may serve: a configuration, keys, engines, and a proof.

All of it is made beside what serves. What is the daemon's is made by the daemon's account, so that root follows no path
that another account could bend.
"""

from __future__ import annotations

import grp
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import ReleaseRefused
from tools.releases.layout import Layout, point
from tools.releases.manifest import Manifest
from tools.releases.migrations import file_of
from tools.releases.platforms import known
from tools.whole_file import write_whole

ACCOUNT = "faceverifyd"
_GROUPS = ("video", "render")
"""Those that may use a GPU, as jetson.conf names them."""

_TRIAL = "trial.yaml"
_MODE = 0o640
_KEY_STORE = "keys/keystore.json"

_MAKE_ENGINES_FOLDER = """
umask 077
mkdir -p "$2"
ln -sfn "$3" "$2/cache"
[ -d "$2/engines" ] && exit 0
rm -rf "$2/engines.making"
mkdir "$2/engines.making"
if [ -d "$1" ]; then cp -a "$1/." "$2/engines.making/"; fi
mv "$2/engines.making" "$2/engines"
"""
"""$1 the engines of the release that serves, $2 the folder of the new one's, $3 its archives. Engines whose identity is
the same need not be built again."""


class Preparation:
    """The steps of one release on one device.

    Args:
        layout: where things are.
        manifest: of the release.
    """

    def __init__(self, layout: Layout, manifest: Manifest) -> None:
        self._layout, self._manifest = layout, manifest
        self._release = layout.release(manifest.version)

    @property
    def configuration(self) -> Path:
        """The configuration that the release reads once it serves."""
        return self._layout.configuration / file_of(self._manifest.configuration)

    def configure(self) -> None:
        """Make the configuration from the older one, or from what is shipped; and links that are switched with it."""
        python = str(self._release / "venv" / "bin" / "python")
        self._run(python, "-m", "tools.releases.migrations", str(self._layout.configuration))
        if not self.configuration.exists():
            shipped = (self._release / "systemd" / "faceverifyd.yaml").read_text("utf-8")
            asked = f"accelerator: {known(self._manifest.platform).accelerator.value}"
            text = shipped.replace("accelerator: tensorrt", asked)
            write_whole(self.configuration, text.encode(), _MODE)
        self._link(self._release / "engines", self._layout.data_of(self._manifest.version) / "engines")
        for name, target in (("engines", "engines"), ("cache", "networks")):
            self._link(self._layout.data / name, self._layout.current / target)

    def make_keys(self) -> None:
        """The first keys, on a device that has none."""
        if not (self._layout.data / _KEY_STORE).exists():
            self._fvctl("keys", "init", "--config", str(self.configuration))

    def make_engines(self) -> None:
        """Build the engines whose identity is not that of the release that serves."""
        data = self._layout.data_of(self._manifest.version)
        script = ("sh", "-ec", _MAKE_ENGINES_FOLDER, "sh")
        self._run(
            *_as_account(), *script, str(self._layout.current / "engines"), str(data), str(self._release / "networks")
        )
        self._fvctl("engines", "build", "--missing", "--config", str(self._trial()), prefix=_as_account())

    def prove(self, before_it_serves: bool) -> float:
        """Let the release compute known answers on this device, beside the one that serves.

        Args:
            before_it_serves: by its own folders, and not by those that `current` leads to.

        Returns:
            Milliseconds of one comparison.

        Raises:
            ReleaseRefused: it computes something else, or not at all.
        """
        config = self._trial() if before_it_serves else self.configuration
        python = str(self._release / "venv" / "bin" / "python")
        printed = self._run(
            *_as_account(), python, "-m", "tools.releases.proving", str(config), str(self._release), may_fail=True
        )
        try:
            found = json.loads(printed.splitlines()[-1])
        except (ValueError, IndexError):
            raise ReleaseRefused(f"the self-test ends with: {printed[-500:]}", "Send this to support.") from None
        if not found["ok"]:
            raise ReleaseRefused(f"the self-test fails: {found['seen']}", found["remedy"])
        return float(found["comparison_ms"])

    def ask(self, command: Sequence[str]) -> None:
        """Have the release's own fvctl carry out a command, as a technician would.

        Raises:
            ReleaseRefused: it does not end well.
        """
        self._fvctl(*command, "--config", str(self.configuration))

    def _trial(self) -> Path:
        """A configuration that leads to the release while another one serves."""
        text = self.configuration.read_text("utf-8")
        data = self._layout.data_of(self._manifest.version)
        text = text.replace(str(self._layout.current), str(self._release))
        text = text.replace(str(self._layout.data / "engines"), str(data / "engines"))
        trial = self._release / _TRIAL
        write_whole(trial, text.encode(), _MODE)
        if os.geteuid() == 0:
            shutil.chown(trial, group=ACCOUNT)
        return trial

    def _link(self, link: Path, target: Path) -> None:
        if link.is_dir() and not link.is_symlink():
            raise ReleaseRefused(
                f"{link} is a folder: this device was installed by hand", f"Move it away: mv {link} {link}.by-hand"
            )
        point(link, target)

    def _fvctl(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self._run(*prefix, str(self._release / "venv" / "bin" / "fvctl"), *arguments)

    def _run(self, *command: str, may_fail: bool = False) -> str:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "COLUMNS": "160"}
        done = subprocess.run(
            command, env=environment, cwd="/", close_fds=False, capture_output=True, text=True, check=False
        )
        if done.returncode and not may_fail:
            raise ReleaseRefused(
                f"{' '.join(command[-6:])} ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-1500:]}",
                "What served goes on serving. Do as the lines above say; then try again.",
            )
        return done.stdout if not may_fail else done.stdout or done.stderr


def _as_account() -> tuple[str, ...]:
    """What makes a command the daemon's account's, with the groups that its unit gives it."""
    if os.geteuid() != 0:
        return ()
    there = {group.gr_name for group in grp.getgrall()}
    groups = ",".join([ACCOUNT, *(name for name in _GROUPS if name in there)])
    return ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", f"--groups={groups}", "--no-new-privs", "--")
