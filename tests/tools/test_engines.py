"""Engines are published whole or not at all, and a build that was killed harms neither the old one nor the next."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import Accelerator, Config, Inference, Policy
from daemon.errors import ConfigurationRefused, EngineRefused
from daemon.inference.accelerators import Target
from daemon.inference.engine import load_engine
from daemon.manifest import load_manifest
from tests.conftest import REPOSITORY, STATE, Site
from tools.cli import main
from tools.engines import build_engine, detector_from_source, source_network

NETWORKS = REPOSITORY / "trt_engines"
CACHE = STATE / "cache"
ON_CPU = Target(Accelerator.CPU, Policy.STRICT, 1)


@pytest.fixture
def settings(config: Config, tmp_path: Path) -> Inference:
    """Where this test publishes."""
    return dataclasses.replace(config.inference, engines=tmp_path / "engines")


@pytest.fixture
def changed_networks(tmp_path: Path) -> Path:
    """The networks' folders with another profile in YuNet's manifest, so that its engine's identity is another."""
    copy = Path(shutil.copytree(NETWORKS, tmp_path / "networks"))
    manifest = copy / "yunet" / "manifest.yaml"
    text = manifest.read_text()
    assert "[4, 3, 1280, 1280]" in text
    manifest.write_text(text.replace("[4, 3, 1280, 1280]", "[8, 3, 1280, 1280]"))
    return copy


def published(engines: Path) -> list[str]:
    """Folders of whole engines and of unfinished ones."""
    return sorted(path.name for path in engines.iterdir() if path.is_dir() and not path.is_symlink())


def loads(engines: Path, *networks: Path) -> bool:
    """Whether the published engine is a whole one of any of these networks."""
    for folder in networks:
        try:
            load_engine(engines, load_manifest(folder), ON_CPU)
        except EngineRefused:
            continue
        return True
    return False


def test_a_build_publishes_one_folder_behind_one_link(settings: Inference) -> None:
    record = build_engine(NETWORKS / "yunet", settings, CACHE)
    link = settings.engines / "yunet"
    assert link.is_symlink()
    assert published(settings.engines) == [link.resolve().name]
    assert {path.name for path in link.iterdir()} == {"model.onnx", "golden.npz", "engine.yaml"}
    assert yaml.safe_load((link / "engine.yaml").read_text())["identity"] == record.identity
    assert record.checks["output_cosine"] >= 0.9999


def test_the_same_engine_built_again_replaces_itself(settings: Inference) -> None:
    first, second = (build_engine(NETWORKS / "yunet", settings, CACHE) for _ in range(2))
    assert first.identity == second.identity
    assert published(settings.engines) == [(settings.engines / "yunet").resolve().name]
    assert loads(settings.engines, NETWORKS / "yunet")


def test_an_engine_of_another_identity_is_kept_beside_the_new_one(settings: Inference, changed_networks: Path) -> None:
    build_engine(NETWORKS / "yunet", settings, CACHE)
    old = (settings.engines / "yunet").resolve().name
    build_engine(changed_networks / "yunet", settings, CACHE)
    assert published(settings.engines) == sorted([old, (settings.engines / "yunet").resolve().name])
    assert loads(settings.engines, changed_networks / "yunet")


def test_a_build_that_fails_leaves_the_old_engine(settings: Inference, changed_networks: Path) -> None:
    build_engine(NETWORKS / "yunet", settings, CACHE)
    manifest = changed_networks / "yunet" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("colour_order: BGR", "colour_order: RGB"))
    with pytest.raises(EngineRefused, match="to OpenCV's reading of the original"):
        build_engine(changed_networks / "yunet", settings, CACHE)
    assert loads(settings.engines, NETWORKS / "yunet")
    assert len(published(settings.engines)) == 1


def test_a_second_build_at_the_same_time_is_refused(settings: Inference) -> None:
    settings.engines.mkdir()
    with (settings.engines / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EngineRefused, match="another build holds"):
            build_engine(NETWORKS / "yunet", settings, CACHE)
    assert published(settings.engines) == []
    build_engine(NETWORKS / "yunet", settings, CACHE)


def run_killed(jobs: list[tuple[Path, Path, Path, float]]) -> list[int]:
    command = [sys.executable, "-m", "tests.tools.interrupted_builds", json.dumps(jobs, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("identity", ["same", "other"])
def test_a_build_killed_at_any_change_leaves_an_engine_that_loads(
    identity: str, settings: Inference, changed_networks: Path, tmp_path: Path
) -> None:
    old = NETWORKS / "yunet"
    new = old if identity == "same" else changed_networks / "yunet"
    build_engine(old, settings, CACHE)
    copies = [Path(shutil.copytree(settings.engines, tmp_path / f"at-{n}", symlinks=True)) for n in range(30)]
    (changes,) = run_killed([(new, copies[0], CACHE, 0)])
    assert 8 < changes < 30
    run_killed([(new, copies[n], CACHE, n) for n in range(1, changes + 1)])
    assert [n for n in range(changes + 1) if not loads(copies[n], old, new)] == []
    midway = dataclasses.replace(settings, engines=copies[changes // 2])
    build_engine(new, midway, CACHE)
    assert loads(midway.engines, new)
    assert not [name for name in published(midway.engines) if name.startswith(".")]


def test_a_build_killed_at_random_moments_leaves_no_engine_or_a_whole_one(tmp_path: Path) -> None:
    moments = [random.Random(seed).uniform(0.05, 0.7) for seed in range(6)]  # noqa: S311 - not for secrets
    engines = [tmp_path / f"engines-{number}" for number in range(6)]
    run_killed([(NETWORKS / "yunet", one, CACHE, moment) for one, moment in zip(engines, moments, strict=True)])
    for one in engines:
        assert loads(one, NETWORKS / "yunet") or not (one / "yunet").exists()


@pytest.fixture
def site_config(site: Site, engines: Path, tmp_path: Path, changed_networks: Path) -> Path:
    """A configuration of a copy of the built engines, whose networks may be changed."""
    copy = tmp_path / "engines"
    copy.mkdir()
    for link in (engines / name for name in ("yunet", "sface")):  # not what earlier runs built and left
        folder = link.resolve()
        shutil.copytree(folder, copy / folder.name)
        (copy / link.name).symlink_to(folder.name)
    os.symlink(CACHE, tmp_path / "cache")
    shutil.copytree(NETWORKS, changed_networks, dirs_exist_ok=True)
    changes = {"engines": str(copy), "networks": str(changed_networks)}
    return site.write(f"{tmp_path.name}.yaml", inference=changes)


def engines_command(action: str, config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    code = main(["engines", action, "--json", "--config", str(config)])
    return code, json.loads(capsys.readouterr().out)


def test_verify_says_yes_for_whole_engines(site_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = engines_command("verify", site_config, capsys)
    assert code == 0
    assert [(row["network"], row["ok"]) for row in rows] == [("yunet", "yes"), ("sface", "yes")]
    assert "runs on cpu" in rows[0]["finding"]


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_verify_finds_a_damaged_engine(
    site_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damaged = tmp_path / "engines" / "yunet" / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    code, rows = engines_command("verify", site_config, capsys)
    assert code == 1
    assert [row["ok"] for row in rows] == ["no", "yes"]
    assert f"{name} is damaged" in rows[0]["finding"]
    assert rows[0]["remedy"] == "Run: fvctl engines build"


def test_verify_finds_a_stale_engine(
    site_config: Path, changed_networks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = changed_networks / "yunet" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("[4, 3, 1280, 1280]", "[2, 3, 1280, 1280]"))
    code, rows = engines_command("verify", site_config, capsys)
    assert code == 1
    assert "is stale" in rows[0]["finding"]
    assert rows[0]["remedy"] == "Run: fvctl engines build"


def test_verify_finds_a_missing_engine(site_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "engines" / "sface").unlink()
    code, rows = engines_command("verify", site_config, capsys)
    assert code == 1
    assert "no engine for network sface" in rows[1]["finding"]


def test_build_shows_what_it_checked(site_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = engines_command("build", site_config, capsys)
    assert code == 0
    assert [row["network"] for row in rows] == ["yunet", "sface"]
    assert rows[0]["box_iou"] >= 0.98
    assert rows[1]["embedding_cosine"] >= 0.9999


def test_list_marks_the_current_engine(
    site_config: Path, settings: Inference, changed_networks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = changed_networks / "yunet" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("[4, 3, 1280, 1280]", "[2, 3, 1280, 1280]"))
    newer = build_engine(changed_networks / "yunet", settings, CACHE)
    code, rows = engines_command("list", site_config, capsys)
    yunet = {row["engine"]: row["current"] for row in rows if row["network"] == "yunet"}
    assert code == 0
    assert len(yunet) == 2
    assert [engine for engine, current in yunet.items() if current == "yes"] == [newer.identity[:16]]


def test_list_passes_over_what_an_interrupted_build_left(
    site_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "engines" / ".making-abc").mkdir()
    (tmp_path / "engines" / ".link-yunet").symlink_to("nowhere")
    code, rows = engines_command("list", site_config, capsys)
    assert (code, len(rows)) == (0, 2)


def test_a_recogniser_is_no_detector(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="network sface is no detector"):
        detector_from_source(NETWORKS / "sface", CACHE)


def test_the_source_is_the_pinned_member() -> None:
    # Source: the hash, taken from the package index's wheel by hand.
    source = source_network(load_manifest(NETWORKS / "yunet"), CACHE)
    assert hashlib.sha256(source).hexdigest() == "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
