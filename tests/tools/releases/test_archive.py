"""An archive is the manifest and the files that it names, plain ones; anything else is refused before it counts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tools.releases import archive
from tools.releases.manifest import MANIFEST_FILE, Manifest, Proof, read_manifest

PLAIN = {"README.md": b"read me", "wheels/one-1-py3-none-any.whl": b"a wheel" * 1000}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release's folder, with two files."""
    folder = tmp_path / "release"
    for name, content in PLAIN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    proof = Proof(1.0, 1.0, 1.0, ())
    files = archive.list_files(folder)
    manifest = Manifest(1, "1.0", "x86_64-py311", "0", "2026-01-01T00:00:00+00:00", 1, "0" * 64, 0, proof, files)
    (folder / MANIFEST_FILE).write_bytes(manifest.content())
    return folder


Member = tuple[tarfile.TarInfo, bytes]


def _members(packed: Path) -> list[Member]:
    with tarfile.open(packed) as opened:
        return [(member, (opened.extractfile(member) or io.BytesIO()).read()) for member in opened]


def _write(packed: Path, members: list[Member]) -> None:
    with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT) as opened:
        for member, content in members:
            opened.addfile(member, io.BytesIO(content))


def _special(name: str, kind: bytes, target: str = "") -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def _named(name: str) -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(PLAIN["README.md"])
    return member, PLAIN["README.md"]


def _grown(members: list[Member]) -> list[Member]:
    member, content = members[1]
    member.size = len(content) + 1
    return [members[0], (member, content + b"!"), *members[2:]]


def _changed(members: list[Member]) -> list[Member]:
    member, content = members[1]
    return [members[0], (member, content[::-1]), *members[2:]]


TRICKS: dict[str, Callable[[list[Member]], list[Member]]] = {
    "a symbolic link": lambda all_: [all_[0], _special("README.md", tarfile.SYMTYPE, "/etc/passwd"), *all_[2:]],
    "a hard link": lambda all_: [all_[0], _special("README.md", tarfile.LNKTYPE, "/etc/passwd"), *all_[2:]],
    "a device": lambda all_: [all_[0], _special("README.md", tarfile.BLKTYPE), *all_[2:]],
    "a pipe": lambda all_: [all_[0], _special("README.md", tarfile.FIFOTYPE), *all_[2:]],
    "a folder": lambda all_: [all_[0], _special("wheels", tarfile.DIRTYPE), *all_[1:]],
    "an absolute path": lambda all_: [all_[0], _named("/etc/cron.d/mine"), *all_[2:]],
    "a path outside": lambda all_: [all_[0], _named("../outside"), *all_[2:]],
    "a file more": lambda all_: [*all_, _named("more")],
    "a file less": lambda all_: all_[:-1],
    "a file twice": lambda all_: [*all_, all_[-1]],
    "another order": lambda all_: [all_[0], *reversed(all_[1:])],
    "no manifest": lambda all_: all_[1:],
    "a larger file": _grown,
    "another content": _changed,
    "nothing": lambda _: [],
}


def test_what_is_packed_is_unpacked(release: Path, tmp_path: Path) -> None:
    archive.pack(release, tmp_path / "a.tar", 0)
    manifest = archive.unpack(tmp_path / "a.tar", tmp_path / "unpacked")
    assert manifest == read_manifest(release)
    assert {name: (tmp_path / "unpacked" / name).read_bytes() for name in PLAIN} == PLAIN


def test_two_archives_of_one_release_are_the_same(release: Path, tmp_path: Path) -> None:
    archive.pack(release, tmp_path / "a.tar", 7)
    (release / "README.md").touch()
    (release / "README.md").chmod(0o600)
    archive.pack(release, tmp_path / "b.tar", 7)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused_and_writes_nothing_outside(release: Path, tmp_path: Path, trick: str) -> None:
    packed = tmp_path / "a.tar"
    archive.pack(release, packed, 0)
    _write(packed, TRICKS[trick](_members(packed)))
    before = {path for path in tmp_path.rglob("*") if "unpacked" not in str(path)}
    with pytest.raises(ReleaseRefused):
        archive.unpack(packed, tmp_path / "unpacked")
    assert {path for path in tmp_path.rglob("*") if "unpacked" not in str(path)} == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "", "a/./b", "a\nb"])
def test_a_manifest_that_names_a_path_outside_is_refused(release: Path, tmp_path: Path, path: str) -> None:
    manifest = read_manifest(release)
    text = manifest.content().replace(b'"README.md"', b'"%s"' % path.encode().replace(b"\n", b"\\n"))
    (release / MANIFEST_FILE).write_bytes(text)
    with pytest.raises(ReleaseRefused):
        read_manifest(release)


def test_a_file_that_the_disk_lost_is_found(release: Path, tmp_path: Path) -> None:
    (release / "README.md").write_bytes(b"Read me")
    with pytest.raises(ReleaseRefused, match=r"README.md is not the release's"):
        archive.verify(release, read_manifest(release))


def test_a_compressed_archive_is_not_opened(release: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as opened:
        opened.add(release / MANIFEST_FILE, MANIFEST_FILE)
    with pytest.raises(ReleaseRefused, match="cannot be unpacked"):
        archive.unpack(tmp_path / "a.tar", tmp_path / "unpacked")


def test_a_manifest_with_another_field_is_refused(release: Path) -> None:
    manifest = replace(read_manifest(release), format=1).content().replace(b'"format"', b'"forma"')
    (release / MANIFEST_FILE).write_bytes(manifest)
    with pytest.raises(ReleaseRefused, match="forma"):
        read_manifest(release)
