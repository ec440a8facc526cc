"""Doctor names what is wrong, says what to type next, and always answers in time."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import load_config
from daemon.inference.engine import MODEL_FILE, RECORD_FILE
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE
from tests.certificates import NOW
from tests.conftest import Site
from tests.running_daemon import RunningDaemon
from tests.terminals import certificate_proof, terminal
from tools.checks.finding import Check, Device, Status, well
from tools.cli import main
from tools.doctor import CHECKS, ask_all
from tools.key_audit import AUDIT_FILE
from tools.key_changes import adding
from tools.key_making import make_key
from tools.key_store import Operation
from tools.keys import key_store
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


def _path(document: dict[str, Any], *keys: str) -> Path:
    value: Any = document
    for key in keys:
        value = value[key]
    return Path(value)


def _engine_byte_flipped(own: Site) -> None:
    copied = own.folder / "engines"
    shutil.copytree(own.document["inference"]["engines"], copied, symlinks=True)
    model = copied / "sface" / MODEL_FILE
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    own.document["inference"]["engines"] = str(copied)


def _calibration_swapped(own: Site) -> None:
    copied = own.folder / "networks"
    shutil.copytree(own.document["inference"]["networks"], copied)
    path = copied / "sface" / "calibration.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"recognition": "0" * 64}))
    own.document["inference"]["networks"] = str(copied)


def _store_readable(own: Site) -> None:
    (_path(own.document, "keys", "store") / STORE_FILE).chmod(0o644)


def _kek_lost(own: Site) -> None:
    _path(own.document, "keys", "file").unlink()


def _log_cut(own: Site) -> None:
    log = _path(own.document, "keys", "store") / AUDIT_FILE
    log.write_bytes(b"")


def _key_about_to_end(own: Site) -> None:
    keys, _ = key_store(load_config(own.write()))
    key = make_key(KeyKind.X25519)
    keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, date.today() + timedelta(days=3)))


def _legacy_on(own: Site) -> None:
    own.document["sealed"] |= {"legacy": True, "allow_published_key": True}


def _certificate_expired(own: Site) -> None:
    _known(own, NOW - timedelta(days=1))


def _known(own: Site, expires: datetime) -> None:
    registry = own.folder / "terminals.yaml"
    store(registry, (terminal("till-1", certificate_proof("0" * 64, expires)),))
    own.document["terminals"] |= {"authentication": "bearer", "registry": str(registry)}


def _unknown_key(own: Site) -> None:
    own.document["photo"]["max_megabytes"] = 5


def _clock_behind(own: Site) -> None:
    copied = own.folder / "engines"
    shutil.copytree(own.document["inference"]["engines"], copied, symlinks=True)
    record = copied / "sface" / RECORD_FILE
    later = {"built_utc": "2099-01-01T00:00:00+00:00"}
    record.write_text(yaml.safe_dump(yaml.safe_load(record.read_text()) | later))
    own.document["inference"]["engines"] = str(copied)


@pytest.mark.parametrize(
    ("break_it", "check", "remedy"),
    [
        (_engine_byte_flipped, "engines", "fvctl engines build"),
        (_calibration_swapped, "calibration", ""),
        (_store_readable, "key_store", "chmod 600"),
        (_kek_lost, "key_store", "fvctl keys init"),
        (_log_cut, "key_log", "backup"),
        (_key_about_to_end, "key_expiry", "fvctl keys add"),
        (_legacy_on, "legacy_format", "sealed.legacy: false"),
        (_legacy_on, "published_key", "fvctl keys add --kind legacy"),
        (_certificate_expired, "terminals", "fvctl terminals"),
        (_unknown_key, "configuration", "Correct the named lines"),
        (_clock_behind, "clock", "timedatectl"),
        (lambda _own: None, "daemon", "systemctl start faceverifyd"),
    ],
)
def test_each_fault_is_named_with_a_remedy(
    own: Site, capsys: pytest.CaptureFixture[str], break_it: Callable[[Site], None], check: str, remedy: str
) -> None:
    break_it(own)
    code, answers = _doctor(own.write(), capsys, "--only", check)
    assert (code, answers[check]["status"]) == (1, "needs_doing")
    assert remedy in answers[check]["remedy"]
    assert answers[check]["remedy"]


def test_another_program_on_the_port_is_named(own: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = own.write(server={"bind": [f"127.0.0.1:{other.getsockname()[1]}"]})
        code, answers = _doctor(config, capsys, "--only", "port")
    assert (code, answers["port"]["status"]) == (1, "needs_doing")
    assert "pytest" in answers["port"]["seen"]


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
    assert {row["status"] for row in answers.values()} == {"needs_doing"}


def test_text_for_people_has_the_remedy_below_what_was_seen(own: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--only", "daemon", "--config", str(own.write())]) == 1
    seen, remedy = capsys.readouterr().out.splitlines()
    assert seen.startswith("!! daemon: no daemon answers at 127.0.0.1:")
    assert remedy.startswith("   -> Start it: ")


def _device() -> Device:
    def never(*_given: object) -> Any:  # noqa: ANN401 - gives nothing
        raise AssertionError

    return Device(Path(), never, never, NOW)


def test_a_check_that_hangs_is_unknown_and_holds_up_nobody() -> None:
    let_go = threading.Event()

    def hang(_device: Device) -> Any:  # noqa: ANN401 - a finding, never given
        let_go.wait(60)

    checks = [Check("hangs", "?", hang), Check("quick", "?", lambda _device: well("fine"))]
    findings = ask_all(checks, _device(), within_s=0.2)
    let_go.set()
    assert [finding.status for finding in findings] == [Status.UNKNOWN, Status.OK]


def test_a_check_with_a_bug_is_unknown() -> None:
    findings = ask_all([Check("buggy", "?", lambda device: device.load())], _device())  # type: ignore[arg-type,return-value]
    assert findings[0].status is Status.UNKNOWN
    assert "AssertionError" in findings[0].seen
