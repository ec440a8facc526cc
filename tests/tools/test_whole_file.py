"""A file is there whole or not at all, belongs to whom it is for, and root follows no link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.conftest import need
from tools.whole_file import make_folder, open_in_place, write_whole

_DAEMON = 12345
"""A user id that nobody has."""


def _root() -> None:
    need("a test's right to give files away", os.geteuid() == 0)


def _owner(path: Path) -> tuple[int, int]:
    seen = path.lstat()
    return seen.st_uid, seen.st_gid


def test_the_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"a long old content", b"new", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_is_as_asked_for_whatever_was_there(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.touch(0o666)
    before = os.umask(0o022)
    try:
        write_whole(path, b"content", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_what_an_interrupted_writing_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file.making").write_bytes(b"half of a secret")
    write_whole(tmp_path / "file", b"content", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_whoever_has_the_old_file_open_keeps_the_whole_of_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    with (tmp_path / "file").open("rb") as reading:
        write_whole(tmp_path / "file", b"new")
        assert reading.read() == b"old"


def test_a_file_that_root_writes_belongs_to_whom_its_folder_belongs_to(tmp_path: Path) -> None:
    _root()
    os.chown(tmp_path, _DAEMON, _DAEMON)
    write_whole(tmp_path / "file", b"content", 0o600)
    os.close(open_in_place(tmp_path / "log"))
    make_folder(tmp_path / "folder")
    assert {_owner(path) for path in tmp_path.iterdir()} == {(_DAEMON, _DAEMON)}


def test_a_made_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    make_folder(tmp_path / "one" / "two")
    assert stat.S_IMODE((tmp_path / "one" / "two").stat().st_mode) == 0o700


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    make_folder(tmp_path / "folder")
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "elsewhere"
    if there:
        target.write_text("somebody else's")
    (tmp_path / "log").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        open_in_place(tmp_path / "log")
    assert target.exists() == there
    assert not there or target.read_text() == "somebody else's"


def test_a_link_in_the_place_of_a_written_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("somebody else's")
    for name in ("file", "file.making"):
        (tmp_path / name).symlink_to(target)
    write_whole(tmp_path / "file", b"content")
    assert target.read_text() == "somebody else's"
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_file_opened_in_place_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("lines")
    with os.fdopen(open_in_place(tmp_path / "log"), "r+b") as file:
        assert file.read() == b"lines"


def test_a_file_opened_in_place_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    os.close(open_in_place(tmp_path / "log"))
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600
