"""The Python environment of a release, made at the path that it works at, from its wheels and nothing else.

What releases have in common is made once and shared: an environment is named by the hash of its list of wheels, and
never changes. On it stands a release's own environment with the appliance's wheel. An update that brings no other
packages takes seconds and megabytes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from daemon.errors import ReleaseRefused
from tools.releases.manifest import Manifest
from tools.whole_file import write_whole

_COMPLETE = "complete"
_SHORT = 16


def shared_environment(environments: Path, manifest: Manifest) -> Path:
    """Where the packages of a release are, or will be."""
    return environments / manifest.environment[:_SHORT]


def is_complete(environment: Path) -> bool:
    """Whether a shared environment was made to its end."""
    return (environment / _COMPLETE).is_file()


def make_environment(release: Path, environments: Path, manifest: Manifest) -> None:
    """Make a release's environment, and the shared one below it unless it is there.

    Raises:
        ReleaseRefused: a wheel does not install.
    """
    shared = shared_environment(environments, manifest)
    if not is_complete(shared):
        shutil.rmtree(shared, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(shared))
        _install(shared, release, "environment.txt")
        _run("sync", "--file-system", str(shared))
        write_whole(shared / _COMPLETE, b"")
    venv = release / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    (packages,) = venv.glob("lib/python*/site-packages")
    (below,) = shared.glob("lib/python*/site-packages")
    (packages / "environment.pth").write_text(f"{below.resolve()}\n", "utf-8")
    _install(venv, release, "appliance.txt")
    _run("sync", "--file-system", str(venv))


def remove_unused(environments: Path, manifests: Iterable[Manifest]) -> None:
    """Remove shared environments that no release stands on."""
    used = {shared_environment(environments, manifest) for manifest in manifests}
    for folder in environments.iterdir():
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)


def _install(venv: Path, release: Path, listed: str) -> None:
    """Install what a list names by hash, from the release's wheels; nothing of a package is run meanwhile."""
    pip = (str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile")
    strict = ("--no-index", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir")
    _run(*pip, *strict, "--find-links", str(release / "wheels"), "-r", str(release / listed))
    # By all cores, where pip takes one; the service may not write there later.
    _run(str(venv / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(venv / "lib"), check=False)


def _run(*command: str, check: bool = True) -> None:
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PIP_CONFIG_FILE": "/dev/null"}
    done = subprocess.run(
        command, env=environment, umask=0o022, close_fds=False, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise ReleaseRefused(
            f"{' '.join(command[:4])} ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-1500:]}",
            "Nothing was changed. Check that the disk is sound and has room; then try again.",
        )
