"""Releases made for tests: built by the real tool, changed on purpose, signed and published by keys of a test."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from daemon import __version__
from daemon.errors import ReleaseRefused
from tests.conftest import REPOSITORY, STATE
from tools.releases import archive
from tools.releases.closure import requirements
from tools.releases.manifest import MANIFEST_FILE, Manifest, Proof, archive_name, read_manifest
from tools.releases.platforms import own_platform
from tools.releases.repository import RELEASES, ROLES, Repository

PLATFORM = "x86_64-py311"
EPOCH_S = 1764000000
LATER = "99.0.0"
"""A version after every other."""


def build(out: Path, sources: Path = REPOSITORY, lock: Path | None = None) -> Path:
    """A release by `fvctl release build`; its folder."""
    command = [sys.executable, "-m", "tools.cli", "release", "build", "--platform", PLATFORM, "--out", str(out)]
    command += ["--cache", str(STATE / "cache"), *(["--lock", str(lock)] if lock else [])]
    environment = os.environ | {"PYTHONPATH": str(sources), "SOURCE_DATE_EPOCH": str(EPOCH_S)}
    done = subprocess.run(command, env=environment, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (path for path in out.glob("faceverifyd-*") if path.is_dir())
    return built


def variant(release: Path, out: Path, version: str, changes: Mapping[str, bytes], proof: Proof | None = None) -> Path:
    """A release like another one, with another version and other files; its archive.

    Args:
        release: folder of the one it is made after.
        out: folder for the archive, and for its folder.
        version: of the new one.
        changes: path to new content; `daemon/` and `tools/` are inside the appliance's own wheel.
        proof: what it must show in service.
    """
    before = read_manifest(release)
    folder = out / archive_name(version, before.platform).removesuffix(".tar")
    shutil.copytree(release, folder, copy_function=os.link)
    (own,) = (folder / "wheels").glob("faceverifyd-*.whl")
    inside = {path: content for path, content in changes.items() if path.startswith(("daemon/", "tools/"))}
    new = _repacked(own, version, inside)
    _replace(folder / "appliance.txt", requirements([new]))
    for path, content in changes.items():
        if path not in inside:
            _replace(folder / path, content)
    (folder / MANIFEST_FILE).unlink()
    manifest = replace(before, version=version, files=archive.list_files(folder), proof=proof or before.proof)
    (folder / MANIFEST_FILE).write_bytes(manifest.content())
    packed = folder.with_name(f"{folder.name}.tar")
    archive.pack(folder, packed, EPOCH_S)
    return packed


def _replace(path: Path, content: bytes) -> None:
    """Another file in place of one that is shared by a link."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _repacked(own: Path, version: str, changes: Mapping[str, bytes]) -> Path:
    """The appliance's wheel with another version and other files; the one before is gone."""
    before = read_members(own)
    old, new = f"faceverifyd-{__version__}.dist-info", f"faceverifyd-{version}.dist-info"
    members = {name.replace(old, new): content for name, content in before.items()} | dict(changes)
    name = f"{new}/METADATA"
    members[name] = members[name].replace(f"\nVersion: {__version__}\n".encode(), f"\nVersion: {version}\n".encode())
    stated = members["daemon/__init__.py"].replace(f'"{__version__}"'.encode(), f'"{version}"'.encode())
    members["daemon/__init__.py"] = stated
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for path, content in members.items():
        if not path.endswith("/RECORD"):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            writer.writerow([path, f"sha256={digest}", len(content)])
    writer.writerow([f"{new}/RECORD", "", ""])
    members[f"{new}/RECORD"] = rows.getvalue().encode()
    own.unlink()
    made = own.with_name(f"faceverifyd-{version}-py3-none-any.whl")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in members.items():
            wheel.writestr(path, content)
    return made


def read_members(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


class Published:
    """A repository that is published, with all its keys at hand.

    Attributes:
        folder: of the repository.
        keys: role to who signs for it; two of the three sign a root.
        now: the moment that everything is signed at.
    """

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.folder = folder
        self.now = now or datetime.now(timezone.utc)
        self.keys = {role: [CryptoSigner.generate_ed25519()] for role in ROLES}
        self.keys["root"] = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.repository = Repository(folder, lambda: self.now)
        self.renew_root()
        self.delegate()
        self.publish()

    def renew_root(self) -> None:
        """The next root, signed by two of three."""
        public = {role: [signer.public_key for signer in signers] for role, signers in self.keys.items()}
        self.repository.make_root(public, 2)
        for signer in self.keys["root"][:2]:
            self.repository.sign("root", signer)

    def delegate(self) -> None:
        """Releases are signed by the key that `keys` has for them now."""
        self.repository.delegate([signer.public_key for signer in self.keys[RELEASES]], self.keys)

    def publish(self, *archives: Path, rollout_percent: int = 100) -> None:
        """Add releases, or none, and sign everything."""
        found = {packed: read_manifest(packed.with_suffix("")) for packed in archives}
        assert self.repository.publish(found, rollout_percent, self.keys) == []

    @property
    def root(self) -> bytes:
        """What a device trusts from the beginning."""
        return (self.folder / "metadata" / "1.root.json").read_bytes()


def manifest_of(packed: Path) -> Manifest:
    """The manifest of an archive, from the folder beside it."""
    return read_manifest(packed.with_suffix(""))


def skip_elsewhere() -> None:
    """Skip where this machine is not of the platform that the tests' releases are made for."""
    try:
        here = own_platform(Path("/")).name
    except ReleaseRefused as refused:
        here = str(refused.args[0])
    if here != PLATFORM:
        pytest.skip(f"releases of the tests are for {PLATFORM}, this machine is another: {here}")
