"""Doctor finds nothing wrong with a device that is well, names each thing that is broken, and knows how to mend it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Site
from tests.end_to_end.box import Box, commands, small_disk
from tests.end_to_end.injected_faults import BUILT_ANEW, FAULTS, Fault
from tools.doctor import CHECKS

_SLOW = {"packages", "latency", "engines", "calibration", "platform"}
"""Questions that are asked where they are meant, and of the whole device before and after."""

_QUICK = [check.id for check in CHECKS if check.id not in _SLOW]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, site: Site, engines: Path) -> Iterator[Box]:
    assert site.folder.is_dir()  # the engines are built
    folder = tmp_path_factory.mktemp("box")
    if os.geteuid() != 0:
        pytest.skip("only root mounts, and gives files to others")
    with small_disk(folder / "state"), pytest.MonkeyPatch.context() as patched:
        made = Box(folder, engines)
        for name, value in made.environment.items():
            patched.setenv(name, value)
        patched.chdir(folder)
        made.write()
        assert made.fvctl("terminals", "authority")[0] == 0
        assert made.fvctl("terminals", "server-certificate", "localhost", "127.0.0.1")[0] == 0
        assert made.fvctl("terminals", "add", "till-1", "--certificate", str(folder / "till-1.p12"))[0] == 0
        made.start()
        yield made
        made.stop()


def _wrong(answers: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["seen"] for name, row in answers.items() if row["status"] not in ("ok", "not_applicable")}


def test_a_device_that_is_well_gives_no_alarm(box: Box) -> None:
    answers = box.doctor()
    assert _wrong(answers) == {}
    assert set(answers) == {check.id for check in CHECKS}
    assert box.fvctl("selftest")[0] == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named_and_its_remedy_mends_it(box: Box, fault: Fault) -> None:
    asked = {*_QUICK, fault.check}
    fault.harm(box)
    answers = box.doctor(*asked)
    assert fault.check in _wrong(answers)
    assert set(_wrong(answers)) - fault.also == {fault.check} - fault.also, _wrong(answers)
    named = answers[fault.check]
    assert (named["status"], fault.says in named["remedy"]) == ("needs_doing", True), named
    (box.folder / "new.pem").unlink(missing_ok=True)
    fault.mend(box, named["remedy"])
    assert _wrong(box.doctor(*asked)) == {}


@pytest.mark.parametrize("fault", BUILT_ANEW, ids=lambda fault: fault.name)
def test_a_fault_of_an_engine_is_named(box: Box, fault: Fault) -> None:
    fault.harm(box)
    named = box.doctor("engines")["engines"]
    assert commands(named["remedy"]) == [["fvctl", "engines", "build"]]
    if fault is BUILT_ANEW[-1]:
        box.follow(named["remedy"])
    else:
        fault.mend(box, named["remedy"])
    assert _wrong(box.doctor("engines")) == {}


def test_packages_that_are_others_or_damaged_are_named_and_put_in_again(box: Box) -> None:
    venv = box.folder / "venv"
    subprocess.run(["cp", "-al", sys.prefix, venv], check=True)
    (library,) = venv.glob("lib/python*/site-packages")
    _written_anew(library / "falcon" / "constants.py", lambda content: content + "\n")
    (metadata,) = library.glob("packaging-*.dist-info")
    other = metadata.rename(metadata.with_name("packaging-20.0.dist-info"))
    _written_anew(other / "METADATA", lambda content: content.replace("\nVersion: ", "\nVersion: 20.0\nX-Was: ", 1))
    _written_anew(other / "RECORD", lambda content: content.replace(metadata.name, other.name))
    named = _packages(venv, box.config)
    assert "falcon is damaged: falcon/constants.py; packaging is 20.0, locked is" in named
    (command,) = commands(named.partition("-> ")[2])
    assert command[0].startswith(str(venv))
    subprocess.run(command, check=True, capture_output=True)
    assert _packages(venv, box.config).startswith("ok packages: ")


def _written_anew(path: Path, change: Callable[[str], str]) -> None:
    """A new file: the old one is the tests' own too."""
    content = path.read_text()
    path.unlink()
    path.write_text(change(content))


def _packages(venv: Path, config: Path) -> str:
    python = str(venv / "bin" / "python")
    command = [python, "-m", "tools.cli", "doctor", "--only", "packages", "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY).stdout


def test_mended_of_everything_the_device_is_as_well_as_before(box: Box) -> None:
    assert _wrong(box.doctor()) == {}
    assert box.fvctl("selftest")[0] == 0
