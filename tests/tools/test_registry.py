"""The registry is changed whole, by one at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from daemon.errors import ConfigurationRefused
from tests.terminals import terminal, token_proof
from tools.registry import load, locked, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "terminals.yaml"


def test_a_file_that_cannot_be_written_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"terminals\.yaml cannot be written: No such file") as refused:
        store(tmp_path / "absent" / "terminals.yaml", ())
    assert "Make its folder" in refused.value.remedy
    with pytest.raises(ConfigurationRefused, match="cannot be written"), locked(tmp_path / "absent" / "terminals.yaml"):
        pass


def test_what_an_interrupted_change_left_does_not_block_the_next(path: Path) -> None:
    path.with_name("terminals.yaml.making").write_text("half")
    store(path, (terminal("counter", token_proof("token-one")),))
    assert [record.name for record in load(path)] == ["counter"]
    assert [entry.name for entry in path.parent.iterdir()] == ["terminals.yaml"]


def test_changes_at_the_same_time_are_all_kept(path: Path) -> None:
    def add(name: str) -> None:
        with locked(path):
            store(path, (*load(path), terminal(name, token_proof(name))))

    threads = [threading.Thread(target=add, args=(f"counter-{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load(path)) == 16
