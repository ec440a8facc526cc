"""Doctor names what is wrong, says what to type next, and always answers in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import NOW
from tests.conftest import REPOSITORY, Site
from tests.running_daemon import RunningDaemon
from tests.terminals import certificate_proof, terminal
from tools.checks.finding import Check, Device, Status, well
from tools.cli import main
from tools.doctor import CHECKS, ask_all
from tools.registry import store

IDS = [check.id for check in CHECKS]


@pytest.fixture
def own(tmp_path: Path, engines: Path, site: Site) -> Site:
    """A site of this test's own, with the engines that are built, and nothing weak turned on."""
    assert site.folder.is_dir()  # its engines are built
    made = Site(tmp_path, engines)
    made.document["sealed"] |= {"legacy": False, "allow_published_key": False}
    return made


def _doctor(config: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the answers by id."""
    capsys.readouterr()
    code = main(["doctor", *arguments, "--json", "--config", str(config)])
    return code, {row["id"]: row for row in json.loads(capsys.readouterr().out)}


def _known(own: Site, expires: datetime) -> None:
    registry = own.folder / "terminals.yaml"
    store(registry, (terminal("till-1", certificate_proof("0" * 64, expires)),))
    own.document["terminals"] |= {"authentication": "bearer", "registry": str(registry)}


def _unknown_key(own: Site) -> None:
    own.document["photo"]["max_megabytes"] = 5


def test_a_device_without_faults_gives_no_alarm_but_that_it_is_not_in_production(
    own: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    _known(own, datetime.now(timezone.utc) + timedelta(days=365))
    config = own.write()
    with RunningDaemon(config, own.folder / "doctor.log"):
        code, answers = _doctor(config, capsys)
    assert [name for name, row in answers.items() if row["status"] == "needs_doing"] == ["configuration"]
    assert code == 1
    assert list(answers) == IDS


def test_where_the_configuration_is_broken_every_question_still_has_an_answer(
    own: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    _unknown_key(own)
    code, answers = _doctor(own.write(), capsys)
    assert code == 1
    of_the_machine = {"platform", "packages", "swap", "core_dumps", "temperature", "power", "hardening", "release"}
    of_systemd = {"unit", "restarts", "log_errors"}
    told = {name: row["status"] for name, row in answers.items() if name not in of_the_machine | of_systemd}
    assert set(told.values()) == {"needs_doing"}
    assert {answers[name]["status"] for name in of_the_machine} <= {"ok", "not_applicable"}


def test_text_for_people_has_the_remedy_below_what_was_seen(own: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--only", "daemon", "--config", str(own.write())]) == 1
    seen, remedy = capsys.readouterr().out.splitlines()
    assert seen.startswith("!! daemon: no daemon answers at 127.0.0.1:")
    assert remedy.startswith("   -> Start it: ")


def _device() -> Device:
    def never(*_given: object) -> Any:  # noqa: ANN401 - gives nothing
        raise AssertionError

    return Device(Path(), never, never, never, never, NOW)


def test_a_check_that_hangs_is_unknown_and_holds_up_nobody() -> None:
    let_go = threading.Event()

    def hang(_device: Device) -> Any:  # noqa: ANN401 - a finding, never given
        let_go.wait(60)

    checks = [Check("hangs", "?", hang, within_s=0.2), Check("quick", "?", lambda _device: well("fine"))]
    findings = ask_all(checks, _device())
    let_go.set()
    assert [finding.status for finding in findings] == [Status.UNKNOWN, Status.OK]
    assert findings[0].remedy == "Ask it alone: fvctl doctor --only hangs"


def test_what_the_account_may_not_see_is_unknown_and_never_well(tmp_path: Path) -> None:
    """As another account: root may see everything."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    ask = (
        "import os\n"
        "from pathlib import Path\n"
        "from daemon.yaml_file import read_yaml\n"
        "from tools.checks.finding import Check, found\n"
        "os.setresuid(65534, 65534, 65534)\n"
        f"path = Path({str(hidden / 'file')!r})\n"
        "for look in (lambda _: path.read_text(), lambda _: read_yaml(path, int)):\n"
        "    finding = found(Check('hidden', '?', look), None)\n"
        "    print(finding.status.value, finding.remedy)\n"
    )
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.splitlines() == ["unknown Run it again as root, with sudo."] * 2


def test_a_check_with_a_bug_is_unknown() -> None:
    findings = ask_all([Check("buggy", "?", lambda device: device.load())], _device())  # type: ignore[arg-type,return-value]
    assert findings[0].status is Status.UNKNOWN
    assert "AssertionError" in findings[0].seen
