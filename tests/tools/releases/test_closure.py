"""The wheels of a release are those of its platform, whatever machine it is built on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tools.releases.closure import RUNTIME, locked_for, requirements
from tools.releases.platforms import PLATFORMS

LOCK = (REPOSITORY / "tools" / "locks" / "runtime.txt").read_text("utf-8")


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_package_is_locked_once_and_without_conditions(name: str) -> None:
    entries = list(locked_for(LOCK, PLATFORMS[name]))
    names = [entry.partition("==")[0] for entry in entries]
    assert len(set(names)) == len(names) > 40
    assert RUNTIME in names
    assert not any(";" in entry for entry in entries)


def test_python_3_10_gets_the_last_numpy_that_has_it() -> None:
    entries = locked_for(LOCK, PLATFORMS["aarch64-py310-jetpack6"])
    assert any(entry.startswith("numpy==2.2.6 ") for entry in entries)


def test_the_list_names_each_wheel_with_its_hash(tmp_path: Path) -> None:
    wheel = tmp_path / "Some_Thing-1.0-py3-none-any.whl"
    wheel.write_bytes(b"abc")
    # Source: FIPS 180-2, SHA-256 of "abc".
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert requirements([wheel]) == f"some-thing==1.0 --hash=sha256:{digest}\n".encode()
