"""The manual page is one that man and mandoc have nothing to say about, and it leaves out no command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need
from tools.cli import main, parser
from tools.examples import commands_of

ONCE = "1764028800"
"""2025-11-25 00:00:00 UTC, by arithmetic: 20,417 days of 86,400 s since 1970."""


@pytest.fixture
def page(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page, made on a certain day."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", ONCE)
    assert main(["manual"]) == 0
    path = tmp_path / "fvctl.1"
    path.write_text(capsys.readouterr().out)
    return path


def test_mandoc_has_nothing_to_say(page: Path) -> None:
    need("mandoc", shutil.which("mandoc") is not None)
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(page)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_reader_finds_every_command_with_its_example(page: Path) -> None:
    need("mandoc", shutil.which("mandoc") is not None)
    command = ["mandoc", "-Tascii", "-O", "width=200", str(page)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shown = re.sub(r".\x08", "", shown)
    headings = set(re.findall(r"^   (fvctl .*)$", shown, re.MULTILINE))
    assert {f"fvctl {words}" for words, _ in commands_of(parser()) if words} == headings
    assert "fvctl keys add --kind dir --terminal till-3 --expires 2027-06-30" in shown


def test_two_builds_of_one_release_make_the_same_page(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert '"2025-11-25"' in page.read_text().splitlines()[0]
    assert main(["manual"]) == 0
    assert capsys.readouterr().out == page.read_text()
