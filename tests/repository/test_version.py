"""One version, wherever it stands."""

from __future__ import annotations

import re

import yaml

from daemon import __version__
from tests.conftest import REPOSITORY


def test_the_project_file_has_the_version() -> None:
    assert f'\nversion = "{__version__}"\n' in (REPOSITORY / "pyproject.toml").read_text("utf-8")


def test_the_interface_description_has_the_version() -> None:
    document = yaml.safe_load((REPOSITORY / "daemon" / "api" / "openapi.yaml").read_text("utf-8"))
    assert document["info"]["version"] == __version__


def test_the_changelog_opens_with_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == __version__
