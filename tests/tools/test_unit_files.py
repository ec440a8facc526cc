"""Unit files are read as systemd reads them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tools.unit_files import SHIPPED, said, settings, unit_files

UNIT = "some.service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc", "run", "usr/lib"):
        (tmp_path / folder / "systemd/system" / f"{UNIT}.d").mkdir(parents=True)
    return tmp_path


def _write(root: Path, where: str, name: str, text: str) -> None:
    (root / where / "systemd/system" / name).write_text(text)


def test_the_first_folder_wins_and_drop_ins_come_by_name(root: Path) -> None:
    _write(root, "usr/lib", UNIT, "[Service]\nNice=1\n")
    _write(root, "etc", UNIT, "[Service]\nNice=2\n")
    _write(root, "run", f"{UNIT}.d/20.conf", "[Service]\nNice=20\n")
    _write(root, "usr/lib", f"{UNIT}.d/10.conf", "[Service]\nNice=0\n")
    _write(root, "etc", f"{UNIT}.d/10.conf", "[Service]\nNice=10\n")
    found = unit_files(root, UNIT)
    assert [str(path.relative_to(root)).replace("systemd/system/", "") for path in found] == [
        "etc/some.service",
        "etc/some.service.d/10.conf",
        "run/some.service.d/20.conf",
    ]
    assert said(root, UNIT, "Nice") == ["2", "10", "20"]


def test_an_empty_setting_resets_those_before_it(root: Path) -> None:
    _write(root, "etc", UNIT, "[Service]\nDeviceAllow=/dev/a\n[Install]\nDeviceAllow=/dev/x\n")
    _write(root, "etc", f"{UNIT}.d/a.conf", "[Service]\nDeviceAllow=\nDeviceAllow=/dev/b rw\n")
    assert said(root, UNIT, "DeviceAllow") == ["/dev/b rw"]


def test_comments_spaces_and_continued_lines(root: Path) -> None:
    _write(
        root, "etc", UNIT, "[Service]\n# ProtectHome=no\n; ProtectHome=no\n ProtectHome = yes \nExecStart=a \\\n b\n"
    )
    assert said(root, UNIT, "ProtectHome") == ["yes"]
    assert said(root, UNIT, "ExecStart") == ["a  b"]


def test_a_unit_that_is_not_installed_has_no_files(root: Path) -> None:
    assert unit_files(root, "other.service") == []


def test_every_setting_of_the_shipped_unit_is_read() -> None:
    path = SHIPPED / "faceverifyd.service"
    service = path.read_text("utf-8").partition("[Service]")[2].partition("[Install]")[0]
    written = Counter(re.findall(r"^([A-Z]\w+)=", service, re.MULTILINE))
    assert {name: len(found) for name, found in settings([path]).items()} == written
