"""Files of one owner: others may neither read nor write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import ConfigurationRefused
from daemon.private import refuse_readable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of its owner's alone."""
    path = tmp_path / "private"
    path.touch(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_s_alone_is_accepted(path: Path, mode: int) -> None:
    path.chmod(mode)
    refuse_readable(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_file_that_others_may_use_is_refused_with_what_to_type(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigurationRefused, match=f"mode {mode:04o}") as refused:
        refuse_readable(path)
    assert refused.value.remedy == f"chmod 600 {path}"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="No such file"):
        refuse_readable(tmp_path / "absent")
