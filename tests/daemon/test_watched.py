"""A value made of files follows every change, and says when it cannot."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import ConfigurationRefused, KeyRefused
from daemon.watched import Watched

_LONG_AGO_NS = 1_700_000_000 * 10**9


class Loader:
    """Reads a file, counts how often, and refuses `bad`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        try:
            text = self.path.read_text()
        except OSError as error:
            raise ConfigurationRefused("it is not there", "Write it.") from error
        if text == "bad":
            raise KeyRefused("it is bad", "Repair it.")
        return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file whose value is `one`."""
    path = tmp_path / "watched"
    path.write_text("one")
    return path


def _replaced(path: Path, text: str) -> None:
    making = path.with_suffix(".making")
    making.write_text(text)
    making.replace(path)


def _settle(path: Path) -> None:
    """Wait until the file's last change is long enough ago for its marks to be trusted."""
    threading.Event().wait(0.06)
    assert path.exists()


def test_the_value_is_what_the_file_holds(path: Path) -> None:
    assert Watched([path], Loader(path)).current() == "one"


def test_a_file_that_rests_is_read_once(path: Path) -> None:
    _settle(path)
    loader = Loader(path)
    watched = Watched([path], loader)
    assert [watched.current() for _ in range(100)] == ["one"] * 100
    assert loader.times == 1


def test_a_replaced_file_is_read_at_the_next_question(path: Path) -> None:
    watched = Watched([path], Loader(path))
    _replaced(path, "two")
    assert watched.current() == "two"


def test_a_file_written_in_place_with_its_size_and_time_kept_is_read_again(path: Path) -> None:
    os.utime(path, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    _settle(path)
    watched = Watched([path], Loader(path))
    path.write_text("two")
    os.utime(path, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    assert watched.current() == "two"


def test_changes_faster_than_the_file_system_s_clock_are_all_seen(path: Path) -> None:
    watched = Watched([path], Loader(path))
    for number in range(1000):
        path.write_text(f"{number:04d}")
        assert watched.current() == f"{number:04d}"


def test_changed_permissions_are_a_change(path: Path) -> None:
    _settle(path)
    loader = Loader(path)
    watched = Watched([path], loader)
    path.chmod(0o640)
    watched.current()
    assert loader.times == 2


def test_any_of_several_files_is_enough(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    watched = Watched([path, other], lambda: f"{path.read_text()} {other.exists()}")
    other.touch()
    assert watched.current() == "one True"


def test_a_folder_changes_with_its_entries(tmp_path: Path) -> None:
    watched = Watched([tmp_path], lambda: sorted(entry.name for entry in tmp_path.iterdir()))
    (tmp_path / "entry").touch()
    assert watched.current() == ["entry"]
    (tmp_path / "entry").unlink()
    assert watched.current() == []


def test_a_file_that_cannot_be_read_at_the_start_is_refused(path: Path) -> None:
    path.write_text("bad")
    with pytest.raises(KeyRefused):
        Watched([path], Loader(path))


def _spoilt(path: Path) -> None:
    _replaced(path, "bad")


_HARMS = pytest.mark.parametrize(("harm", "error"), [(_spoilt, KeyRefused), (Path.unlink, ConfigurationRefused)])


@_HARMS
def test_a_file_that_went_bad_gives_no_old_value(
    path: Path, harm: Callable[[Path], None], error: type[Exception]
) -> None:
    watched = Watched([path], Loader(path))
    harm(path)
    for _ in range(2):
        with pytest.raises(error, match=r"it is .*\n  remedy: "):
            watched.current()


@_HARMS
def test_the_last_good_value_can_be_asked_for(path: Path, harm: Callable[[Path], None], error: type[Exception]) -> None:
    watched = Watched([path], Loader(path))
    harm(path)
    assert watched.kept() == "one"
    assert isinstance(watched.fault(), error)


def test_a_bad_file_that_rests_is_read_once(path: Path) -> None:
    loader = Loader(path)
    watched = Watched([path], loader)
    _replaced(path, "bad")
    _settle(path)
    watched.fault()
    times = loader.times
    assert watched.fault() is watched.fault()
    assert loader.times == times


def test_a_repaired_file_serves_again(path: Path) -> None:
    watched = Watched([path], Loader(path))
    _replaced(path, "bad")
    assert watched.fault() is not None
    _replaced(path, "two")
    assert watched.fault() is None
    assert watched.current() == watched.kept() == "two"


def test_many_threads_read_a_change_once(path: Path) -> None:
    loader = Loader(path)
    watched = Watched([path], loader)
    _replaced(path, "two")
    _settle(path)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(watched.current())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["two"] * 16
    assert loader.times == 2
