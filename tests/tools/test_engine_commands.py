"""fvctl engines beyond building: what is kept, what is removed, what a device would take."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.inference.engine import RECORD_FILE
from tests.conftest import STATE, Site
from tools.cli import main
from tools.publication import hashes, last_build_s, published


@pytest.fixture
def shelf(site: Site, engines: Path, tmp_path: Path) -> Path:
    """A copy of the engines that serve, and nothing else."""
    made = tmp_path / "engines"
    made.mkdir()
    os.symlink(STATE / "cache", tmp_path / "cache")
    for name in ("yunet", "sface"):
        folder = (engines / name).resolve()
        shutil.copytree(folder, made / folder.name)
        (made / name).symlink_to(folder.name)
    return made


def _command(site: Site, shelf: Path, *arguments: str) -> int:
    config = site.write(f"{shelf.parent.name}.yaml", inference={"engines": str(shelf)})
    return main(["engines", *arguments, "--json", "--config", str(config)])


def _answer(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - JSON
    return json.loads(capsys.readouterr().out)


def _copy(shelf: Path, name: str) -> Path:
    return Path(shutil.copytree((shelf / "yunet").resolve(), shelf / name))


def test_prune_keeps_what_serves_and_what_served_before(
    site: Site, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("yunet-0000-old", "yunet-1111-before", ".making-abc"):
        _copy(shelf, name)
    (shelf / ".previous-yunet").symlink_to("yunet-1111-before")
    (shelf / ".link-yunet").symlink_to("yunet-0000-old")
    serving = {(shelf / name).resolve().name for name in ("yunet", "sface")}
    assert _command(site, shelf, "prune") == 0
    assert _answer(capsys) == [{"removed": "yunet-0000-old"}]
    assert {path.name for path in published(shelf)} == serving | {"yunet-1111-before"}
    assert not (shelf / ".making-abc").exists()
    assert not (shelf / ".link-yunet").is_symlink()
    assert _command(site, shelf, "verify") == 0


def test_prune_with_nothing_to_remove_removes_nothing(
    site: Site, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _command(site, shelf, "prune") == 0
    assert _answer(capsys) == []
    assert len(published(shelf)) == 2


def test_list_shows_engines_of_earlier_versions_for_what_they_are(
    site: Site, shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = _copy(shelf, "yunet-0000-old") / RECORD_FILE
    record.write_text(yaml.safe_dump({"name": "yunet"}))
    assert _command(site, shelf, "list") == 0
    old, serving = (row for row in _answer(capsys) if row["network"] == "yunet")
    assert (old["engine"], old["platform"], old["current"]) == ("0000-old", "its record cannot be read", "no")
    assert (serving["accelerator"], serving["precision"], serving["current"]) == ("cpu", "fp32", "yes")


@pytest.mark.parametrize(("asked", "jetpacks"), [((), ["6", "7"]), (("--jetpack", "6"), ["6"])])
def test_preflight_answers_for_each_network_and_jetpack(
    site: Site, shelf: Path, asked: tuple[str, ...], jetpacks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _command(site, shelf, "preflight", *asked) == 0
    rows = _answer(capsys)
    assert [(row["network"], row["jetpack"]) for row in rows] == [(n, j) for n in ("yunet", "sface") for j in jetpacks]
    assert {row["ok"] for row in rows} == {"yes"}


def test_the_last_build_that_took_time_is_the_forecast(shelf: Path) -> None:
    assert last_build_s(shelf, "yunet") is None
    for name, day, build_s in (("yunet-a", 2, 40.0), ("yunet-b", 1, 90.0)):
        record = _copy(shelf, name) / RECORD_FILE
        changes = {"built_utc": f"2026-01-0{day}T00:00:00+00:00", "build_s": build_s}
        document = yaml.safe_load(record.read_text()) | changes
        record.write_text(yaml.safe_dump(document))
    assert last_build_s(shelf, "yunet") == 40.0
    assert last_build_s(shelf, "sface") is None


def test_a_record_names_every_file_but_itself(shelf: Path) -> None:
    folder = (shelf / "yunet").resolve()
    assert yaml.safe_load((folder / RECORD_FILE).read_text())["files"] == hashes(folder)
    assert sorted(hashes(folder)) == ["golden.npz", "model.onnx"]
