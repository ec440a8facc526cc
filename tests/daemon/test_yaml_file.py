"""A YAML file becomes a checked record, or every one of its faults is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import Admission
from daemon.errors import ConfigurationRefused
from daemon.yaml_file import read_yaml


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "admission.yaml"
    path.write_text(text)
    return path


def test_a_key_given_twice_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="given twice: running"):
        read_yaml(_written(tmp_path, "running: 1\nwaiting: 1\ndeadline_s: 1.0\nrunning: 2\n"), Admission)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("- running", id="list"),
        pytest.param("running: [", id="unclosed"),
        pytest.param("\x00", id="control character"),
        pytest.param("&a [*a]", id="holds itself"),
        pytest.param("2020-01-01: 1", id="date as key"),
        pytest.param("a: !!python/object/apply:os.getpid []", id="python object"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationRefused):
        read_yaml(_written(tmp_path, text), Admission)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("running: é".encode("latin-1"))
    with pytest.raises(ConfigurationRefused, match="cannot be read"):
        read_yaml(path, Admission)


def test_what_a_secret_file_holds_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        read_yaml(_written(tmp_path, "running: swordfish\nwaiting: 1\ndeadline_s: 1.0\n"), Admission, secret=True)
    assert "running: " in str(refused.value)
    assert "swordfish" not in str(refused.value)
