"""A Debian with systemd, and the appliance's environment made inside it by its own Python; each made once, then kept.

Both are folders under `.state/cache`, named for what they are made of: another list of packages, or another lock file,
is another folder.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.requirements import Requirement

from tests.conftest import REPOSITORY, STATE

SUITE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv")
PYTHON = "3.11"
"""The suite's own."""

RELEASE = Path("/opt/faceverifyd/releases/dev")
"""Where the release lies in the container. An environment works at the path that it was made at, and no other."""

_CACHE = STATE / "cache"
_WHEELS = _CACHE / "wheels"
_LOCK = REPOSITORY / "tools" / "locks" / "runtime.txt"

_INSTALL = f"""
python3 -m venv {RELEASE}/venv
{RELEASE}/venv/bin/python -m pip install -q --disable-pip-version-check --no-index --find-links /mnt/wheels \
    --require-hashes --no-deps -r /mnt/runtime.txt
"""


def debian_root() -> Path:
    """Debian's files, as debootstrap leaves them."""
    made = _CACHE / f"{SUITE}-{_short(repr(PACKAGES).encode())}"
    with _once(made) as making:
        if making:
            include = f"--include={','.join(PACKAGES)}"
            _run("debootstrap", "--variant=minbase", include, SUITE, str(making))
            for package in (making / "var" / "cache" / "apt" / "archives").glob("*.deb"):
                package.unlink()
    return made


def installed_layer(root: Path) -> Path:
    """What an installation adds to a root: the locked environment at its final path.

    Args:
        root: Debian's files; not changed.
    """
    made = _CACHE / f"{root.name}-venv-{_short(_LOCK.read_bytes())}"
    with _once(made) as making:
        if making:
            try:
                _install(root, making)
            except subprocess.CalledProcessError:  # this machine's Python is another, or some wheels were never needed
                _fetch_wheels()
                _install(root, making)
    return made


def _install(root: Path, layer: Path) -> None:
    """Make the environment by the root's own Python, in an overlay whose upper half is kept."""
    shutil.rmtree(layer / "opt", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        script = f"""
            mount -t tmpfs tmpfs {folder}
            mkdir {folder}/upper {folder}/work {folder}/root
            mount -t overlay overlay -o lowerdir={root},upperdir={folder}/upper,workdir={folder}/work {folder}/root
            cp {_LOCK} {folder}/root/mnt/runtime.txt
            mkdir {folder}/root/mnt/wheels
            mount --bind {_WHEELS} {folder}/root/mnt/wheels
            mount -t proc proc {folder}/root/proc
            chroot {folder}/root sh -ec '{_INSTALL}'
            cp -a {folder}/upper/opt {layer}/
        """
        _run("unshare", "--mount", "--propagation=private", "sh", "-ec", script)


def _fetch_wheels() -> None:
    """The wheels for the suite's Python, beside those of this machine's."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("\n".join(_locked_for(PYTHON)))
        lock.flush()
        pip = (sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check")
        hashed = ("--only-binary=:all:", "--require-hashes", "--no-deps", "-r", lock.name)
        _run(*pip, f"--python-version={PYTHON}", "-d", str(_WHEELS), *hashed)


def _locked_for(python: str) -> Iterator[str]:
    """The lock's entries that count for a Python, without the conditions: pip would take them as for its own Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for entry in re.findall(r"^\S.*(?:\n .*)*", _LOCK.read_text("utf-8"), re.MULTILINE):
        wanted, _, hashes = entry.partition(" \\\n")
        requirement = Requirement(wanted)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield f"{requirement.name}{requirement.specifier} \\\n{hashes}"


@contextmanager
def _once(made: Path) -> Iterator[Path | None]:
    """A folder to make where there is none yet; it gets its name once it is whole."""
    if made.is_dir():
        yield None
        return
    made.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{made.name}-", dir=made.parent))
    try:
        making.chmod(0o755)
        yield making
        making.rename(made)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
