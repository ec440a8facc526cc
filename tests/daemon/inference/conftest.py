"""Engines that a test may damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Site


@pytest.fixture
def copied(site: Site, engines: Path, tmp_path: Path) -> Path:
    """A copy of the site's engines that a test may damage."""
    shutil.copytree(engines / "yunet", tmp_path / "yunet")
    return tmp_path
