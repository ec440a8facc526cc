"""One file for a whole release, to the byte the same each time; and the way back, which believes nothing.

A tar whose members are regular files and nothing else: the manifest first, then the files that it names, by path. What
is unpacked is read again from the disk before it counts.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from daemon.errors import ReleaseRefused
from tools.releases.manifest import (
    MANIFEST_FILE,
    MANIFEST_LIMIT_BYTES,
    File,
    Manifest,
    parse_manifest,
    read_manifest,
    sha256_of,
)
from tools.whole_file import sync_folder

_ANEW = "Get the release anew; if it is refused again, tell who published it."


def list_files(folder: Path) -> tuple[File, ...]:
    """Every file of a folder as a manifest lists it, but the manifest itself."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_FILE)
    return tuple(File(str(path.relative_to(folder)), path.stat().st_size, sha256_of(path)) for path in found)


def pack(folder: Path, out: Path, epoch_s: int) -> None:
    """Write a release's folder as one file.

    Args:
        folder: the release, with its manifest.
        out: the archive.
        epoch_s: the time that every member gets, seconds since 1970.
    """
    manifest = read_manifest(folder)
    making = out.with_name(f"{out.name}.making")
    with tarfile.open(making, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in (MANIFEST_FILE, *(file.path for file in manifest.files)):
            content = (folder / path).read_bytes()
            member = tarfile.TarInfo(path)
            member.size, member.mtime, member.mode = len(content), epoch_s, 0o644
            archive.addfile(member, io.BytesIO(content))
    making.replace(out)


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write an archive's files into a folder that is not there yet, durably, and read them again.

    Args:
        archive: as `pack` made it, or anything at all.
        folder: the new one; whatever fails, what is in it counts for nothing.

    Raises:
        ReleaseRefused: the archive is not what `pack` makes, or the disk does not hold what was written.
    """
    try:
        with tarfile.open(archive, "r:") as opened:
            members = iter(opened)
            manifest = parse_manifest(_manifest_of(opened, next(members, None)))
            folder.mkdir(mode=0o755)
            (folder / MANIFEST_FILE).write_bytes(manifest.content())
            for member, file in _paired(members, manifest):
                _write(folder / file.path, _open(opened, member), file)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ReleaseRefused(f"{archive.name} cannot be unpacked: {error}", _ANEW) from None
    _sync(folder)
    verify(folder, manifest)
    return manifest


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file of an unpacked release from the disk.

    Raises:
        ReleaseRefused: one is not there, or is another.
    """
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file() or path.is_symlink() or sha256_of(path) != file.sha256:
            raise ReleaseRefused(f"{path} is not the release's: its SHA-256 is another", _ANEW)


def _manifest_of(opened: tarfile.TarFile, member: tarfile.TarInfo | None) -> bytes:
    if member is None or member.name != MANIFEST_FILE or not member.isreg() or member.size > MANIFEST_LIMIT_BYTES:
        seen = "nothing" if member is None else f"{member.name!r}, {member.size} bytes"
        raise ReleaseRefused(f"the archive begins with {seen}; expected {MANIFEST_FILE}", _ANEW)
    return _open(opened, member).read()


def _paired(members: Iterator[tarfile.TarInfo], manifest: Manifest) -> Iterator[tuple[tarfile.TarInfo, File]]:
    """Members with what the manifest says of each: the same ones in the same order, all of them plain files."""
    files = iter(manifest.files)
    for member in members:
        file = next(files, None)
        if file is None or member.name != file.path:
            expected = "no more" if file is None else repr(file.path)
            raise ReleaseRefused(f"the archive holds {member.name!r}; expected {expected}", _ANEW)
        if not member.isreg() or member.issparse() or member.size != file.size:
            raise ReleaseRefused(f"{member.name!r} in the archive is no plain file of {file.size} bytes", _ANEW)
        yield member, file
    missing = next(files, None)
    if missing is not None:
        raise ReleaseRefused(f"the archive ends before {missing.path!r}", _ANEW)


def _open(opened: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(member)
    if content is None:
        raise ReleaseRefused(f"{member.name!r} in the archive is no plain file", _ANEW)
    return content


def _write(path: Path, content: IO[bytes], file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as written:
        while part := content.read(1 << 20):
            digest.update(part)
            written.write(part)
        written.flush()
        os.fsync(written.fileno())
    if digest.hexdigest() != file.sha256:
        raise ReleaseRefused(f"{file.path!r} in the archive is not the manifest's: its SHA-256 is another", _ANEW)


def _sync(folder: Path) -> None:
    for path in (folder.parent, folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync_folder(path)
