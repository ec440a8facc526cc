"""A configuration goes forward into a file of its own; the older one stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from daemon.errors import ReleaseRefused
from tests.conftest import REPOSITORY
from tools.releases.migrations import MIGRATIONS, SCHEMA, Document, file_of, migrate

SHIPPED = (REPOSITORY / "systemd" / "faceverifyd.yaml").read_text("utf-8")


def _renamed(document: Document) -> Document:
    return {**document, "limits": document.pop("photo")}


def _added(document: Document) -> Document:
    return document | {"colour": "blue"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A device's configuration of the first schema."""
    (tmp_path / file_of(1)).write_text(SHIPPED)
    return tmp_path


def test_there_is_a_way_from_every_schema_to_today_s() -> None:
    assert set(MIGRATIONS) == set(range(1, SCHEMA))


def test_today_s_configuration_stays(folder: Path) -> None:
    assert migrate(folder) is None
    assert [path.name for path in folder.iterdir()] == ["faceverifyd.yaml"]


def test_steps_follow_each_other_and_the_older_file_is_the_backup(folder: Path) -> None:
    assert migrate(folder, 3, {1: _renamed, 2: _added}) == 1
    made = yaml.safe_load((folder / "faceverifyd.3.yaml").read_text())
    assert made["limits"]["max_side_px"] == 5000
    assert made["colour"] == "blue"
    assert (folder / "faceverifyd.yaml").read_text() == SHIPPED


def test_what_was_made_is_not_made_again(folder: Path) -> None:
    migrate(folder, 2, {1: _added})
    (folder / "faceverifyd.2.yaml").write_text("changed by a technician")
    assert migrate(folder, 2, {1: _added}) is None
    assert (folder / "faceverifyd.2.yaml").read_text() == "changed by a technician"


def test_nothing_is_made_from_a_newer_one(folder: Path) -> None:
    (folder / "faceverifyd.yaml").rename(folder / "faceverifyd.2.yaml")
    assert migrate(folder, 1, {}) is None
    assert [path.name for path in folder.iterdir()] == ["faceverifyd.2.yaml"]


def test_a_step_that_is_missing_is_refused(folder: Path) -> None:
    with pytest.raises(ReleaseRefused, match="no way from schema 2"):
        migrate(folder, 3, {1: _added})
    assert not (folder / "faceverifyd.3.yaml").exists()
