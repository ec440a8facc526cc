"""Fetches files that are pinned by hash, from the package index that pip uses, once.

The one owner of unearth. Nothing is installed and nothing of a package is run: its archive is opened as data.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import DownloadFailed
from tools.console import say, transfer

if TYPE_CHECKING:
    from unearth import Link, PackageFinder

_DEFAULT_INDEX = "https://pypi.org/simple"
_TRUE = ("1", "true", "yes", "on", "y", "t")
"""Source: pip, `strtobool`."""

_REMEDY = "Check the network and pip's index settings (pip config list), or copy the file there from another device."


def fetch_archive(requirement: str, sha256: str, cache: Path) -> Path:
    """A pinned archive of the package index, from the cache where it is there.

    Args:
        requirement: `name==version`.
        sha256: of the archive, hex.
        cache: folder that keeps it.

    Raises:
        DownloadFailed: the index does not have it, cannot be reached, or has another file under that name.
    """
    cache.mkdir(parents=True, exist_ok=True)
    wanted = _normal(requirement.partition("==")[0])
    for kept in cache.iterdir():
        if _normal(kept.name).startswith(wanted) and _sha256(kept) == sha256:
            return kept
    say(f"fetching {requirement} from the package index")
    return _download(requirement, sha256, cache)


def _normal(name: str) -> str:
    """A project's name in one spelling. Source: Python packaging, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _download(requirement: str, sha256: str, cache: Path) -> Path:
    from unearth import PackageFinder

    settings = _pip_settings()
    indexes, links = _indexes(settings), settings.get("find-links", "").split()
    if not indexes + links:
        raise DownloadFailed(f"pip's settings forbid every index, {requirement} is not in {cache}", _REMEDY)
    try:
        with _client(settings, indexes) as client:
            finder = PackageFinder(client, index_urls=indexes, find_links=links)
            finder.ignore_compatibility = True
            for match in finder.find_matches(requirement):
                # A folder of archives states no hashes; what comes from there is checked below like everything else.
                stated = (match.link.hash_option or {}).get("sha256", [sha256])
                if sha256 in stated and (kept := _downloaded(finder, match.link, sha256, cache)):
                    return kept
    except Exception as error:
        raise DownloadFailed(f"{requirement} could not be fetched: {_without_secrets(error)}", _REMEDY) from error
    raise DownloadFailed(f"the package index has no {requirement} with SHA-256 {sha256}", _REMEDY)


def _indexes(settings: dict[str, str]) -> list[str]:
    if settings.get("no-index", "").lower() in _TRUE:
        return []
    return [settings.get("index-url", _DEFAULT_INDEX), *settings.get("extra-index-url", "").split()]


def _client(settings: dict[str, str], indexes: list[str]) -> Any:  # noqa: ANN401 - typed differently in the versions locked for Python 3.10
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    cafile = settings.get("cert")
    return PyPIClient(
        timeout=60.0,
        verify=ssl.create_default_context(cafile=cafile) if cafile else True,
        proxy=settings.get("proxy"),
        trusted_hosts=settings.get("trusted-host", "").split(),
        follow_redirects=True,
        auth=MultiDomainBasicAuth(prompting=False, index_urls=indexes),
    )


def _downloaded(finder: PackageFinder, link: Link, sha256: str, cache: Path) -> Path | None:
    """The archive in the cache; None where the link leads to another one."""
    from unearth import HashMismatchError

    try:
        with transfer(f"fetched {link.filename}") as report:
            found = Path(finder.download(link, cache, hashes={"sha256": [sha256]}, download_reporter=report))
    except HashMismatchError:
        return None
    if found.parent == cache:
        return found
    making = cache / f".making-{found.name}"  # unearth leaves what a file:// address names where it is
    shutil.copyfile(found, making)
    return making.replace(cache / found.name)


def _without_secrets(error: Exception) -> str:
    """An error's text without the names and passwords that addresses in it may hold."""
    return re.sub(r"//[^/@\s]+@", "//", str(error))


def _pip_settings() -> dict[str, str]:
    """Pip's own settings, so that a site's mirror is used; the environment counts most, as in pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PIP_NO_INPUT": "1"}
    )
    found: dict[str, str] = {}
    for scope in ("global.", "download.", ":env:."):
        for line in listed.stdout.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(scope):
                found[name[len(scope) :]] = str(ast.literal_eval(value))
    return found


def read_member(archive: Path, member: str, sha256: str) -> bytes:
    """One file of a fetched archive.

    Args:
        archive: a wheel or a source archive.
        member: path inside it.
        sha256: of the member, hex.

    Raises:
        DownloadFailed: the archive has no such member, or another one.
    """
    try:
        content = _member(archive, member)
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DownloadFailed(f"{archive} has no {member}: {error}", f"Delete {archive} and try again.") from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != sha256:
        raise DownloadFailed(f"{member} has SHA-256 {seen}, expected {sha256}", f"Delete {archive} and try again.")
    return content


def _member(archive: Path, member: str) -> bytes:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        found = source.extractfile(member)
        if found is None:
            raise KeyError(member)
        return found.read()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
