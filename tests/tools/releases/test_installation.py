"""A release is whole or it is not there; whatever stops an installation, one of two serves and a repeat finishes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import ReleaseRefused
from tests.conftest import REPOSITORY
from tests.releases import Published, variant
from tests.tools.releases.conftest import Disk
from tests.tools.releases.test_source import small_archive
from tools.releases import archive
from tools.releases.manifest import MANIFEST_FILE, read_manifest
from tools.releases.state import Ledger

A, B = "1.0.0", "2.0.0"


@pytest.fixture(scope="module")
def served(small_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """A disk with A, the repository with A and B. What is changed is what later tests begin with."""
    folder = tmp_path_factory.mktemp("served")
    published = Published(folder / "repository")
    disk = Disk(folder / "disk", published)
    published.publish(variant(small_release, folder, A, {}), variant(small_release, folder, B, {}))
    assert disk.install(A) == ""
    return disk


def test_a_release_is_laid_out_on_a_disk(served: Disk) -> None:
    state = served.ledger.state
    assert served.layout.serving() == state.current == A
    assert state.operation is None
    assert served.layout.good.resolve() == served.layout.current.resolve()
    assert (served.layout.configuration / "faceverifyd.yaml").read_text().count("accelerator: cpu") == 1
    assert (served.layout.data / "engines").readlink() == Path("../../../opt/faceverifyd/current/engines")


def test_packages_that_releases_share_are_there_once(served: Disk) -> None:
    (shared,) = served.layout.environments.iterdir()
    before = shared.stat().st_ino
    (wanted,) = {A, B} - {served.layout.serving()}
    assert served.install(wanted) == ""
    assert [path.stat().st_ino for path in served.layout.environments.iterdir()] == [before]


def test_killed_at_any_moment_one_of_two_serves_and_a_repeat_finishes(served: Disk) -> None:
    # Early, in the middle, around the switch; and by the clock. All moments: interrupted.py, by hand.
    moments = [60.0, 78.0, 0.35]
    command = [sys.executable, "-m", "tests.tools.releases.interrupted", str(served.layout.root.parent)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([*command, json.dumps(moments)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert Counter(row["killed"] for row in rows)[True] >= 2, rows


def _refused(disk: Disk, version: str, source: Path | None = None) -> str:
    before = disk.snapshot()
    reason = disk.install(version, source)
    assert reason
    assert disk.snapshot() == before
    assert disk.ledger.state.operation is None
    return reason


def test_a_release_for_another_platform_changes_nothing(disk: Disk, tmp_path: Path) -> None:
    disk.published.publish(small_archive(tmp_path, "9.0", "aarch64-py310-jetpack6"))
    assert "it is published for aarch64-py310-jetpack6" in _refused(disk, "9.0")


def test_a_version_that_is_not_published_changes_nothing(disk: Disk) -> None:
    assert "it is not published" in _refused(disk, "9.0")


def test_an_archive_of_another_version_changes_nothing(disk: Disk, tmp_path: Path) -> None:
    packed = small_archive(tmp_path, "9.0")
    release = packed.with_suffix("")
    (release / MANIFEST_FILE).write_bytes(replace(read_manifest(release), version="8.0").content())
    archive.pack(release, packed, 0)
    (release / MANIFEST_FILE).write_bytes(replace(read_manifest(release), version="9.0").content())
    disk.published.publish(packed)
    assert "the archive is of 8.0" in _refused(disk, "9.0")


def test_below_the_floor_nothing_is_begun(disk: Disk) -> None:
    ledger = disk.ledger
    ledger.change(floor="5.0")
    with pytest.raises(ReleaseRefused, match=r"4\.0 is below the floor 5\.0"):
        disk.install("4.0")
    assert Ledger(disk.layout.state).state.operation is None


def test_a_disk_without_room_changes_nothing(disk: Disk, tmp_path: Path) -> None:
    packed = small_archive(tmp_path, "9.0")
    release = packed.with_suffix("")
    manifest = replace(read_manifest(release), environment_bytes=1 << 60)
    (release / MANIFEST_FILE).write_bytes(manifest.content())
    archive.pack(release, packed, 0)
    disk.published.publish(packed)
    assert "MiB are needed" in _refused(disk, "9.0")
