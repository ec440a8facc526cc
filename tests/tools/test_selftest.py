"""The self-test goes the whole way through a real daemon, however terminals prove who they are."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.api.registry import load_registry
from tests.certificates import branch_certificate
from tests.conftest import Site
from tests.running_daemon import RunningDaemon
from tests.terminals import subject_proof, terminal, token_proof
from tools.asking import Answered
from tools.checks.finding import Status
from tools.cli import main
from tools.key_audit import AUDIT_FILE
from tools.registry import store
from tools.selftest import _judged, _refused

HERE = ["cryptography", "networks", "known_photos"]
THERE = ["daemon_mated", "daemon_non_mated", "daemon_bad_tag"]


def _selftest(config: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["selftest", *arguments, "--json", "--config", str(config)])
    return code, {row["id"]: row for row in json.loads(capsys.readouterr().out)}


def _statuses(rows: dict[str, Any]) -> dict[str, str]:
    return {name: row["status"] for name, row in rows.items()}


@dataclass(frozen=True)
class Served:
    """A site and the daemon that serves it."""

    site: Site
    config: Path
    daemon: RunningDaemon

    @property
    def registry(self) -> Path:
        """The file of terminals."""
        return self.site.folder / "terminals.yaml"


@pytest.fixture
def own(tmp_path: Path, engines: Path, site: Site) -> Site:
    assert site.folder.is_dir()  # its engines are built
    return Site(tmp_path, engines)


@pytest.fixture(scope="module")
def bearer(tmp_path_factory: pytest.TempPathFactory, engines: Path, site: Site) -> Iterator[Served]:
    """Tokens, and the legacy format alone."""
    assert site.folder.is_dir()
    own = Site(tmp_path_factory.mktemp("bearer"), engines)
    networks = own.folder / "networks"
    shutil.copytree(own.document["inference"]["networks"], networks)
    own.document["inference"]["networks"] = str(networks)
    own.document["terminals"] |= {"authentication": "bearer", "registry": str(own.folder / "terminals.yaml")}
    own.document["sealed"]["jwe"] = False
    store(own.folder / "terminals.yaml", (terminal("till-1", token_proof("a token")),))
    config = own.write()
    with RunningDaemon(config, own.folder / "selftest.log") as daemon:
        yield Served(own, config, daemon)


@pytest.fixture(scope="module")
def mutual_tls(tmp_path_factory: pytest.TempPathFactory, engines: Path, site: Site) -> Iterator[Served]:
    """Certificates of the device's own authority, and JWE."""
    assert site.folder.is_dir()
    own = Site(tmp_path_factory.mktemp("mutual"), engines)
    files = {name: str(own.folder / f"{name}.pem") for name in ("certificate", "key", "terminals_ca")}
    own.document["server"]["tls"] = files
    own.document["terminals"] |= {"authentication": "mutual_tls", "registry": str(own.folder / "terminals.yaml")}
    config = own.write()
    assert main(["terminals", "authority", "--config", str(config)]) == 0
    assert main(["terminals", "server-certificate", "device.example", "127.0.0.1", "--config", str(config)]) == 0
    store(own.folder / "terminals.yaml", (terminal("till-1", subject_proof("till-1")),))
    tls = ssl.create_default_context(cafile=files["terminals_ca"])
    with RunningDaemon(config, own.folder / "selftest.log", tls=tls) as daemon:
        yield Served(own, config, daemon)


@pytest.fixture(params=["bearer", "mutual_tls"])
def served(request: pytest.FixtureRequest) -> Served:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Served)
    return found


def test_without_a_daemon_all_but_the_daemon_is_tried(own: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = _selftest(own.write(), capsys, "--offline")
    assert (code, _statuses(rows)) == (0, dict.fromkeys(HERE, "ok"))


def test_a_daemon_that_does_not_answer_is_told(own: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = _selftest(own.write(), capsys)
    assert code == 1
    assert _statuses(rows) == dict.fromkeys(HERE, "ok") | dict.fromkeys(THERE, "needs_doing")
    assert "no daemon answers" in rows["daemon_mated"]["seen"]


def test_a_terminal_of_its_own_is_let_in_for_the_length_of_the_run(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_registry(served.registry).terminals
    code, rows = _selftest(served.config, capsys)
    assert (code, _statuses(rows)) == (0, dict.fromkeys(HERE + THERE, "ok")), rows
    answers = [event for event in served.daemon.events if event.get("terminal")]
    assert [(event["terminal"], event["code"]) for event in answers] == [
        ("selftest", 1000),
        ("selftest", 1000),
        ("selftest", 1200),
    ]
    assert load_registry(served.registry).terminals == before


def test_a_branch_with_another_authority_is_told_and_no_key_is_made(
    mutual_tls: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = mutual_tls.site.folder / "terminals_ca.pem"
    own, (branch, _) = authority.read_bytes(), branch_certificate("till-1")
    log = mutual_tls.site.folder / "keys" / AUDIT_FILE
    changes = log.read_bytes()
    authority.write_bytes(branch)
    try:
        code, rows = _selftest(mutual_tls.config, capsys)
    finally:
        authority.write_bytes(own)
    assert (code, {rows[name]["status"] for name in THERE}) == (1, {"needs_doing"})
    assert "no certificate can be made for the self-test" in rows["daemon_mated"]["seen"]
    assert log.read_bytes() == changes


def test_a_daemon_that_serves_with_another_calibration_than_the_disk_has_is_told(
    bearer: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bearer.site.folder / "networks" / "sface" / "calibration.yaml"
    right = path.read_text()
    document = yaml.safe_load(right)
    document["knots"] = [[cosine, min(1.0, score + 0.05)] for cosine, score in document["knots"]]
    path.write_text(yaml.safe_dump(document))
    try:
        code, rows = _selftest(bearer.config, capsys)
    finally:
        path.write_text(right)
    assert (code, rows["daemon_non_mated"]["status"]) == (1, "needs_doing")
    assert "systemctl restart faceverifyd" in rows["daemon_non_mated"]["remedy"]


def _answer(code: int, field: str | None = None, score: float | None = None) -> Answered:
    body = {"code": code, "request_id": "0" * 32} | ({} if score is None else {"verification_score": score})
    return Answered(200, body, field, None)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_answer(1200, "first_encrypted_image"), Status.OK),
        (_answer(1200, "second_encrypted_image"), Status.NEEDS_DOING),
        (_answer(1000, score=0.9), Status.NEEDS_DOING),
        (_answer(5000), Status.NEEDS_DOING),
    ],
)
def test_a_wrong_tag_must_be_refused_as_the_first_photos(answer: Answered, status: Status) -> None:
    assert _refused(answer).status is status


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_answer(1000, score=0.95), Status.OK),
        (_answer(1000, score=0.90), Status.NEEDS_DOING),
        (_answer(1000, score=0.10), Status.NEEDS_DOING),
        (_answer(1200, "first_encrypted_image"), Status.NEEDS_DOING),
    ],
)
def test_a_score_must_be_the_known_one(answer: Answered, status: Status) -> None:
    finding = _judged(answer, 0.951, lambda score: score > 0.7)
    assert finding.status is status
    assert bool(finding.remedy) is (status is Status.NEEDS_DOING)
