"""A release is the same to the byte wherever it is built, and says what it is made of; its package is Debian's way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import numpy as np
import pytest
import yaml

from tests.conftest import REPOSITORY, need
from tests.releases import PLATFORM, Published, build
from tools.releases import archive
from tools.releases.bootstrap import build_bootstrap
from tools.releases.manifest import read_manifest, sha256_of


def test_built_elsewhere_it_is_the_same_to_the_byte(small_release: Path, few_packages: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another" / "place"
    left_out = shutil.ignore_patterns(".state", ".git", "__pycache__", "tests")
    shutil.copytree(REPOSITORY, elsewhere, ignore=left_out)
    for path in elsewhere.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
    again = build(tmp_path / "out", elsewhere, few_packages)
    first, second = (folder.with_name(f"{folder.name}.tar") for folder in (small_release, again))
    assert first.read_bytes() == second.read_bytes()


def test_it_holds_what_its_manifest_says(small_release: Path) -> None:
    manifest = read_manifest(small_release)
    archive.verify(small_release, manifest)
    assert archive.list_files(small_release) == manifest.files
    assert manifest.platform == PLATFORM


def test_the_shipped_configuration_fits_the_schema(small_release: Path) -> None:
    schema = json.loads((small_release / "configuration.schema.json").read_text())
    shipped = yaml.safe_load((small_release / "systemd" / "faceverifyd.yaml").read_text())
    checker = jsonschema_rs.validator_for(schema)
    assert [error.message for error in checker.iter_errors(shipped)] == []
    assert not checker.is_valid(shipped | {"unknown": 1})


def test_the_list_of_parts_names_every_wheel_and_network(small_release: Path) -> None:
    listed = json.loads((small_release / "parts.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    hashes = {one["content"] for part in listed["components"] for one in part["hashes"]}
    assert {sha256_of(wheel) for wheel in (small_release / "wheels").iterdir()} <= hashes
    assert {"sface", "yunet"} <= {part["name"] for part in listed["components"]}
    assert all(part.get("licenses") for part in listed["components"])


def test_golden_vectors_are_those_of_both_networks(small_release: Path) -> None:
    for name in ("sface", "yunet"):
        with np.load(small_release / "golden" / f"{name}.npz", allow_pickle=False) as golden:
            assert len(golden.files) >= 2
            assert all(np.isfinite(golden[one]).all() for one in golden.files)


def test_a_version_that_the_changelog_does_not_name_is_refused(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    left_out = shutil.ignore_patterns(".state", ".git", "__pycache__", "tests", "trt_engines")
    shutil.copytree(REPOSITORY, sources, ignore=left_out)
    (sources / "CHANGELOG.md").write_text("# Changelog\n\n## 0.0.1 - long ago\n")
    command = [sys.executable, "-m", "tools.cli", "release", "build", "--platform", PLATFORM, "--out", str(tmp_path)]
    environment = {"PYTHONPATH": str(sources), "SOURCE_DATE_EPOCH": "0", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "CHANGELOG.md does not name" in done.stderr


@pytest.fixture(scope="module")
def package(small_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package, made of the wheels that a release has."""
    for program in ("dpkg-deb", "lintian"):
        need(program, shutil.which(program) is not None)
    folder = tmp_path_factory.mktemp("package")
    (folder / "root.json").write_bytes(Published(folder / "repository").root)
    return build_bootstrap(small_release, folder / "root.json", folder, None)


def test_debian_has_nothing_to_say_about_the_package(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--fail-on=error,warning", "--pedantic", str(package)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
