"""`fvctl calibrate` as a technician types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY, SHARED_DATA, STATE, Site, need
from tools.cli import main

CALIBRATION = REPOSITORY / "trt_engines" / "sface" / "calibration.yaml"
LONDON = SHARED_DATA / "london"


@pytest.fixture
def command(site: Site, tmp_path: Path) -> list[str]:
    """The part of the command line that every call has."""
    return ["calibrate", "--config", str(site.write()), "--name", "a set", "--work", str(tmp_path / "work")]


def _people(folder: Path, samples: dict[str, bytes]) -> Path:
    for identity, names in {"a": ("obama", "obama2"), "b": ("biden",)}.items():
        (folder / identity).mkdir(parents=True)
        for name in names:
            (folder / identity / f"{name}.jpg").write_bytes(samples[name])
    return folder


def test_an_empty_folder_is_named_and_ends_with_2(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main([*command, str(tmp_path / "empty"), "--out", str(tmp_path / "out.yaml")]) == 2
    assert f"{tmp_path / 'empty'} holds photos of 0 identities" in capfd.readouterr().err.replace("\n", "")


def test_one_identity_is_too_few(command: list[str], tmp_path: Path, samples: dict[str, bytes]) -> None:
    people = _people(tmp_path / "people", samples)
    shutil.rmtree(people / "b")
    assert main([*command, str(people), "--out", str(tmp_path / "out.yaml")]) == 2


def test_too_few_pairs_leave_nothing_written(command: list[str], tmp_path: Path, samples: dict[str, bytes]) -> None:
    people = _people(tmp_path / "people", samples)
    assert main([*command, str(people), "--out", str(tmp_path / "out.yaml")]) == 2
    assert not list(tmp_path.glob("out*"))


def test_a_pair_list_that_names_a_missing_photo_is_refused_with_its_name(
    command: list[str], tmp_path: Path, samples: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    people = _people(tmp_path / "people", samples)
    (tmp_path / "pairs.csv").write_text("mated,a,b\n1,a/obama.jpg,a/obama2.jpg\n0,a/obama.jpg,b/nobody.jpg\n")
    arguments = [str(people), "--pairs", str(tmp_path / "pairs.csv"), "--check", str(CALIBRATION)]
    assert main([*command, *arguments]) == 2
    assert "b/nobody.jpg, which is missing" in capfd.readouterr().err.replace("\n", "")


def test_neither_out_nor_check_is_wrong_usage(command: list[str], tmp_path: Path, samples: dict[str, bytes]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, str(_people(tmp_path / "people", samples))])
    assert ended.value.code == 64


def test_a_check_on_a_small_set_says_that_it_is_too_small(
    command: list[str], tmp_path: Path, samples: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    people = _people(tmp_path / "people", samples)
    assert main([*command, str(people), "--check", str(CALIBRATION), "--json"]) == 0
    assert {row["verdict"] for row in json.loads(capfd.readouterr().out)} == {"too few pairs"}


@pytest.mark.shared_data
def test_a_calibration_that_declares_too_much_is_off(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(CALIBRATION.read_text())
    # Scores moved down the scale by one point of the table: ten times as many strangers score 0.4 as it says.
    document["knots"] = [
        [max(-1.0, cosine - 0.1) if cosine < 1 else cosine, score] for cosine, score in document["knots"]
    ]
    document["knots"] = [document["knots"][0], *[knot for knot in document["knots"][1:] if knot[0] > -1]]
    (tmp_path / "loose.yaml").write_text(yaml.safe_dump(document))
    assert main([*command, str(LONDON), "--check", str(tmp_path / "loose.yaml"), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)[0]["verdict"] == "off"


@pytest.mark.shared_data
def test_the_report_opens_in_a_browser_with_its_plots(command: list[str], tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    need("chromium", chromium is not None)
    report = tmp_path / "report.html"
    main([*command, str(LONDON), "--check", str(CALIBRATION), "--report", str(report)])
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    dumped = subprocess.run(
        [str(chromium), *switches, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", report.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert dumped.count("<svg") == 4
    assert dumped.count("<path") > 100
    assert "ethnicity: east_asian" in dumped
    assert "Mated pairs that score lowest" in dumped


@pytest.mark.shared_data
def test_the_report_needs_nothing_from_elsewhere(command: list[str], tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    main([*command, str(LONDON), "--check", str(CALIBRATION), "--report", str(report)])
    text = report.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not [word for word in ("<script", "<link", "<iframe", "src=", "@import", "url(http") if word in text]


def test_the_shipped_calibration_is_of_the_shipped_networks(site: Site) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "tools.cli", "engines", "verify", "--config", str(site.write())],
        cwd=REPOSITORY,
        check=False,
    )
    assert listed.returncode == 0
    built = yaml.safe_load((STATE / "test-engines" / "sface" / "engine.yaml").read_text())
    assert yaml.safe_load(CALIBRATION.read_text())["recognition"] == built["model_hash"]
