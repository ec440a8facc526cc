"""What a release says of itself: `release.json`, its first file; and how versions compare."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from packaging.version import InvalidVersion, Version
from pydantic import Field
from pydantic.dataclasses import dataclass

from daemon.errors import ReleaseRefused
from daemon.yaml_file import STRICT

MANIFEST_FILE = "release.json"
MANIFEST_LIMIT_BYTES = 4 << 20
"""A release has some two hundred files, a line for each."""

SECURITY_FLOOR = "0.2.0"
"""Once this version is in use no device goes back below this one: raised where a release mends a weakness."""

_NAME = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=f"^{_NAME}$")]
Member = Annotated[str, Field(pattern=r"^[0-9A-Za-z._+-]+(/[0-9A-Za-z._+-]+)*$", max_length=200)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


@dataclass(frozen=True, slots=True, config=STRICT)
class File:
    """One file of a release: its path, how long it is, and what is in it."""

    path: Member
    size: Count
    sha256: Sha256


@dataclass(frozen=True, slots=True, config=STRICT)
class Proof:
    """What a release must show in service before it is kept.

    Attributes:
        ready_s: it is ready within so many seconds.
        watched_s: it serves for so many seconds without a restart.
        comparison_ms: a comparison takes at most so many milliseconds.
        commands: what fvctl must answer with exit code 0.
    """

    ready_s: Seconds
    watched_s: Seconds
    comparison_ms: Annotated[float, Field(gt=0)]
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, config=STRICT)
class Manifest:
    """The whole file.

    Attributes:
        format: of this file.
        version: of the release.
        platform: what it is for.
        floor: the version below which nobody goes back once this one is in use.
        built_utc: when, as the sources say; a device's clock cannot be before it.
        configuration: number of the configuration's schema.
        environment: SHA-256 of the list of wheels that are not the appliance's own.
        environment_bytes: what these take when they are installed.
        proof: what it must show in service.
        files: all others, by path.
    """

    format: Literal[1]
    version: Name
    platform: Name
    floor: Name
    built_utc: str
    configuration: Annotated[int, Field(ge=1)]
    environment: Sha256
    environment_bytes: Count
    proof: Proof
    files: tuple[File, ...]

    def content(self) -> bytes:
        """The file, to the byte the same each time."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @property
    def total_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size for file in self.files)


def parse_manifest(content: bytes) -> Manifest:
    """A manifest, checked.

    Raises:
        ReleaseRefused: it is not one, or says what cannot be.
    """
    try:
        manifest = pydantic.TypeAdapter(Manifest).validate_json(content, strict=True)
    except pydantic.ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise ReleaseRefused(f"{MANIFEST_FILE} is not a release's: {faults}", "Get the release anew.") from None
    paths = [file.path for file in manifest.files]
    if len(set(paths)) != len(paths) or any(part in (".", "..") for path in paths for part in path.split("/")):
        raise ReleaseRefused(f"{MANIFEST_FILE} names a path twice, or one outside", "Get the release anew.")
    for stated in (manifest.version, manifest.floor):
        version(stated)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an unpacked release.

    Raises:
        ReleaseRefused: there is none, or it is none.
    """
    try:
        return parse_manifest((folder / MANIFEST_FILE).read_bytes())
    except OSError as error:
        raise ReleaseRefused(f"{folder} is no release: {error.strerror}", "Name another version.") from None


def archive_name(version_name: str, platform_name: str) -> str:
    """Name of a release's archive, and of its target in the repository."""
    return f"faceverifyd-{version_name}-{platform_name}.tar"


def version(text: str) -> Version:
    """A version that compares as versions do.

    Raises:
        ReleaseRefused: it is none.
    """
    try:
        return Version(text)
    except InvalidVersion:
        raise ReleaseRefused(f"{text!r} is no version", "Name one as fvctl release check prints it.") from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
