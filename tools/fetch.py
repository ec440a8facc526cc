"""Fetches files that are pinned by hash, from the package index that pip uses, once.

The one owner of unearth. Nothing is installed and nothing of a package is run: its archive is opened as data.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from daemon.errors import DownloadFailed
from tools.console import say

_DEFAULT_INDEX = "https://pypi.org/simple"
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
    for kept in cache.iterdir():
        if kept.name.lower().startswith(requirement.partition("==")[0].lower()) and _sha256(kept) == sha256:
            return kept
    say(f"fetching {requirement} from the package index")
    return _download(requirement, sha256, cache)


def _download(requirement: str, sha256: str, cache: Path) -> Path:
    from unearth import PackageFinder
    from unearth.fetchers import PyPIClient

    settings = _pip_settings()
    indexes = [settings.get("index-url", _DEFAULT_INDEX), *settings.get("extra-index-url", "").split()]
    verify = settings.get("cert") or True
    try:
        with PyPIClient(timeout=60.0, verify=verify, follow_redirects=True) as client:
            finder = PackageFinder(client, index_urls=indexes, find_links=settings.get("find-links", "").split())
            finder.ignore_compatibility = True
            found = [
                match for match in finder.find_matches(requirement) if (match.link.hashes or {}).get("sha256") == sha256
            ]
            if not found:
                raise DownloadFailed(f"the package index has no {requirement} with SHA-256 {sha256}", _REMEDY)
            kept = finder.download(found[0].link, cache, hashes={"sha256": [sha256]})
    except DownloadFailed:
        raise
    except Exception as error:
        raise DownloadFailed(f"{requirement} could not be fetched: {error}", _REMEDY) from error
    return Path(kept)


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
