"""Installs releases by turns in processes that are killed: `python -m tests.tools.releases.interrupted FOLDER MOMENTS`.

FOLDER holds a disk on which one of two releases serves, and the repository of both. MOMENTS is a JSON list: a whole
moment n is just before the n-th folder, link, rename or removal on the disk, a fractional one after that many seconds.
Each time the whole group of processes is killed, as a power cut does; then the disk must serve one of the two, say
which, and a repeat must finish. Prints what was found, a line for each.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tools.releases import archive
from tools.releases.installation import Device, Installer
from tools.releases.layout import Layout
from tools.releases.manifest import read_manifest
from tools.releases.platforms import PLATFORMS
from tools.releases.state import Ledger, alone

_CHANGES = ("os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "shutil.rmtree")


def _installer(folder: Path) -> Installer:
    layout = Layout(folder / "disk")
    root = (folder / "repository" / "metadata" / "1.root.json").read_bytes()
    return Installer(Device(layout, PLATFORMS["x86_64-py311"], None, root), Ledger(layout.state))


def _install(folder: Path, version: str) -> None:
    with alone(Layout(folder / "disk").state):
        installer = _installer(folder)
        installer.begin("install", version, str(folder / "repository"))
        installer.go_on()


def _kill_before(moment: int, root: Path) -> None:
    changes = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal changes
        if event in _CHANGES and str(root) in str(args[0]):
            changes += 1
            if changes == moment:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(count)


def killed(folder: Path, version: str, moment: float) -> bool:
    """Install a release in a group of processes that is killed; whether it was before the end."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        if not moment % 1:
            _kill_before(int(moment), folder / "disk")
        _install(folder, version)
        os._exit(0)
    if moment % 1:
        time.sleep(moment)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def found(folder: Path) -> str:
    """The version that serves; everything that it needs is there and runs."""
    layout = Layout(folder / "disk")
    serving = layout.serving()
    assert serving is not None
    release = layout.release(serving)
    archive.verify(release, read_manifest(release))
    said = subprocess.run(
        [release / "venv" / "bin" / "python", "-c", "import daemon, daemon.config; print(daemon.__version__)"],
        capture_output=True, text=True, check=True, cwd="/", env={},
    )  # fmt: skip
    assert said.stdout.strip() == serving
    return serving


def rounds(folder: Path, versions: tuple[str, str], moments: list[float]) -> list[dict[str, object]]:
    """Kill an installation of the release that does not serve at each moment, look, and repeat."""
    rows: list[dict[str, object]] = []
    for moment in moments:
        before = found(folder)
        (wanted,) = set(versions) - {before}
        was_killed = killed(folder, wanted, moment)
        after, ledger = found(folder), Ledger(Layout(folder / "disk").state)
        assert after in versions
        step = ledger.state.operation.step.value if ledger.state.operation else "none"
        began = time.monotonic()
        if ledger.state.operation is not None:
            with alone(Layout(folder / "disk").state):
                assert _installer(folder).go_on() == ""
        elif after == before:  # it was killed before it was written down: the command is typed again
            _install(folder, wanted)
        assert found(folder) == wanted
        assert Ledger(Layout(folder / "disk").state).state.current == wanted
        rows.append({"moment": moment, "killed": was_killed, "step": step, "served": after,
                     "repeat_s": round(time.monotonic() - began, 1)})  # fmt: skip
        sys.stderr.write(f"{rows[-1]}\n")
    return rows


if __name__ == "__main__":
    sys.stdout.write(json.dumps(rounds(Path(sys.argv[1]), ("1.0.0", "2.0.0"), json.loads(sys.argv[2]))))
