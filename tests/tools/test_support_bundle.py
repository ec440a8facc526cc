"""A box full of canaries gives a bundle without one of them; a planted leak gives no bundle."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState, secret_bytes
from tests.certificates import new_tls_site
from tests.conftest import Site
from tests.running_daemon import RunningDaemon
from tests.terminals import Proof, certificate_proof, terminal, token_proof
from tests.tools.leaks import contents, leaked, written
from tools.cli import main
from tools.key_changes import adding
from tools.key_making import make_key
from tools.key_store import Operation
from tools.keys import key_store
from tools.registry import store

TOKEN = "Kx7Qm2Vt9Lr4Zp8Wc3Nd6Hs1Jf5Bg0Ty-Ua_EoRiPlQ"
NAMES = {
    "name of a terminal": "zirkonschalter",
    "name of a terminal that was revoked": "beryllkasse",
    "name in a file's name": "topasfoto",
    "name in a folder's name": "smaragdfiliale",
    "name in the configuration": "opalhaken",
    "host in the journal": "achat7.granatfiliale.example",
    "address in the journal": "10.77.88.99",
    "address in the configuration": "10.66.55.0",
    "token's label": "quarzschloss",
    "request id": "216069908eb147ed9e5e2b79bb767117",
    "what was sent": "turmalinlied",
}
"""Words that the product does not have: what they name must not leave."""

ALL_FILES = {
    "README.txt",
    "versions.json",
    "configuration.json",
    "doctor.json",
    "engines.json",
    "calibration.json",
    "units.json",
    "metrics.txt",
    "journal.jsonl",
}


class CanaryBox:
    """A device whose every corner holds something that must not leave.

    Attributes:
        config: its configuration file.
        journal: a file with the daemon's lines.
        secrets: what must not leave, by what it is.
    """

    def __init__(self, folder: Path, engines: Path, photo: bytes) -> None:
        self.folder = folder / NAMES["name in a folder's name"]
        self.folder.mkdir()
        self.site = Site(self.folder, engines)
        self.journal = self.folder / "journal.log"
        self.photo = photo
        self._fill_configuration()
        self.config = self.site.write()
        self.secrets = {what: name.encode() for what, name in NAMES.items()} | self._keys()
        self.secrets |= {"photo": photo, "token": TOKEN.encode()}
        self._write_journal()

    def _fill_configuration(self) -> None:
        document, registry = self.site.document, self.folder / "terminals.yaml"
        later = datetime.now(timezone.utc) + timedelta(days=5)
        proofs: list[Proof] = [token_proof(TOKEN), certificate_proof("ab" * 32, later)]
        store(registry, tuple(terminal(f"{NAMES['name of a terminal']} {n}", p) for n, p in enumerate(proofs)))
        tls = new_tls_site(self.folder)
        document["server"]["tls"] = {
            "certificate": str(tls.tls.certificate),
            "key": str(tls.tls.key),
            "terminals_ca": None,
        }
        document["terminals"] |= {"authentication": "bearer", "registry": str(registry)}
        document["management"]["networks"].append(f"{NAMES['address in the configuration']}/24")
        networks = self.folder / NAMES["name in a file's name"]
        shutil.copytree(document["inference"]["networks"], networks)
        document["inference"]["networks"] = str(networks)
        document["keys"]["pkcs11"] = {
            "module": f"/usr/lib/{NAMES['name in the configuration']}.so",
            "token": NAMES["token's label"],
            "key": "faceverifyd",
            "pin": "/etc/pin",
        }

    def _keys(self) -> dict[str, bytes]:
        config = load_config(self.config)
        keys, _ = key_store(config)
        key = make_key(KeyKind.DIRECT, f"{NAMES['name of a terminal']} 0")
        keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, datetime.now(timezone.utc).date()))
        found = {"key-encryption key": (self.folder / "kek").read_bytes()}
        opened = keys.opened()
        for record, held in opened.opened(KeyState):
            found[f"key id {record.kind.value}"] = record.kid.encode()
            found[f"key {record.kind.value}"] = secret_bytes(held.secret)
            assert record.sealed is not None
            found[f"sealed key {record.kind.value}"] = record.sealed.encode()
        assert config.server.tls is not None
        found["TLS key"] = b"".join(config.server.tls.key.read_bytes().splitlines()[1:-1])
        return found

    def _write_journal(self) -> None:
        lines: list[dict[str, Any]] = []
        filed = NAMES["name in a file's name"]
        for what, secret in self.secrets.items():
            piece = secret[: 3 * 80]
            for form in written(what, piece).values():
                shown = form.decode("latin-1")
                text = f"{what.partition(' ')[0]} failed: {shown}"
                lines.append({"event": "fault", "reason": text, "remedy": text, "error": shown})
        lines.append({"event": "answer", "terminal": NAMES["name of a terminal that was revoked"], "code": 1000})
        lines.append({"event": "answer", "request_id": NAMES["request id"], "route": f"/{NAMES['what was sent']}"})
        lines.append({"event": "answer", "first_encrypted_image": NAMES["what was sent"], "status": TOKEN})
        lines.append({"event": "fault", "frames": [f"/home/{filed}/daemon/app.py:7 run"]})
        text = "\n".join(json.dumps({"time_utc": "2026-11-25T21:00:00.000+00:00"} | line) for line in lines)
        self.journal.write_text(f"{text}\nTraceback: {TOKEN}\n[2026] {NAMES['what was sent']}\n")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, site: Site, samples: dict[str, bytes]) -> CanaryBox:
    """The box."""
    engines = Path(site.document["inference"]["engines"])
    return CanaryBox(tmp_path_factory.mktemp("box"), engines, samples["obama"])


@pytest.fixture
def pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    """Support's keys, as fvctl makes them: the private one, the public one."""
    assert main(["support-bundle", "--new-key", str(tmp_path / "support.jwk"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    return Path(told["private"]), Path(told["public"])


def _bundle(box: CanaryBox, out: Path, *arguments: str) -> int:
    command = ["support-bundle", "--config", str(box.config), "--journal", str(box.journal), "--out", str(out)]
    return main([*command, *arguments])


def test_the_bundle_of_a_box_full_of_canaries_has_none(box: CanaryBox, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    private, public = pair
    out, names = tmp_path / "bundle.tar.gz.jwe", tmp_path / "names.json"
    assert _bundle(box, out, "--to", str(public), "--names", str(names)) == 0
    assert main(["support-bundle", "--open", str(out), "--key", str(private)]) == 0
    files = contents((tmp_path / "bundle.tar.gz").read_bytes())
    assert set(files) == ALL_FILES
    assert leaked(files, box.secrets) == []
    assert socket.gethostname().encode() not in b"".join(files.values())
    # It is a bundle of this box all the same: nothing was left out but names.
    assert json.loads(files["configuration.json"])["terminals"]["authentication"] == "bearer"
    doctor = {row["id"]: row for row in json.loads(files["doctor.json"])}
    assert doctor["key_expiry"]["status"] == "needs_doing"
    events = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
    assert len(events) > 100
    assert events[-1]["frames"] == ["daemon/app.py:7 run"]
    given = json.loads(names.read_text())
    assert given[events[-4]["terminal"]] == NAMES["name of a terminal that was revoked"]
    assert {path.stat().st_mode & 0o777 for path in (out, names, private)} == {0o600}


def test_one_name_has_one_pseudonym_throughout(box: CanaryBox, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([*_preview(box), "--without", "doctor.json", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)
    configured = json.loads(files["configuration.json"])
    folder = configured["keys"]["store"].rpartition("/")[0]
    assert configured["terminals"]["registry"].startswith(folder)
    assert set(files) == ALL_FILES - {"doctor.json"}


def _preview(box: CanaryBox) -> list[str]:
    return ["support-bundle", "--preview", "--config", str(box.config), "--journal", str(box.journal)]


def test_a_preview_shows_all_and_writes_nothing(
    box: CanaryBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*_preview(box), "--without", "doctor.json"]) == 0
    shown = capsys.readouterr().out
    assert {line[3:] for line in shown.splitlines() if line.startswith("== ")} == ALL_FILES - {"doctor.json"}
    assert leaked({"shown": shown.encode()}, box.secrets) == []
    assert list(tmp_path.iterdir()) == []


PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIF2rCH5iSopLeeF/i4OADuZvO7EpJhi2/Rwviyf/iODr"
KEY_NUMBER = int.from_bytes(os.urandom(32), "big")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"reason": PEM}, "a PEM block"),
        ({"remedy": '{"kty": "OKP", "d": "XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"}'}, "a private member of a JWK"),
        ({"duration_ms": KEY_NUMBER}, "a number as long as a key"),
        ({"steps_ms": {"open": KEY_NUMBER}}, "a number as long as a key"),
    ],
)
@pytest.mark.parametrize("how", [["--unsealed"], ["--preview"]])
def test_a_planted_leak_makes_it_abort(
    box: CanaryBox, tmp_path: Path, capsys: pytest.CaptureFixture[str], event: dict[str, Any], kind: str, how: list[str]
) -> None:
    journal, out = tmp_path / "planted.log", tmp_path / "bundle.tar.gz"
    journal.write_text(json.dumps({"event": "answer"}) + "\n" + json.dumps({"event": "fault"} | event) + "\n")
    without = [f"--without={name}" for name in ALL_FILES - {"journal.jsonl"}]
    command = ["support-bundle", "--config", str(box.config), "--journal", str(journal), "--out", str(out)]
    capsys.readouterr()
    assert main([*command, *without, *how]) == 2
    told = capsys.readouterr()
    assert f"journal.jsonl, line 2: {kind}" in told.err
    assert told.out == ""
    assert not out.exists()
    secrets = {"key": PEM[-64:].encode(), "jwk": b"XasIfmJKikt54X", "number": str(KEY_NUMBER).encode()}
    assert leaked({"told": told.err.encode()}, secrets) == []


def test_without_a_key_it_refuses(box: CanaryBox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _bundle(box, tmp_path / "bundle") == 2
    assert "--to FILE, or management.support_key" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_the_configuration_names_the_key(
    box: CanaryBox, tmp_path: Path, pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = box.site.write("sealing.yaml", management={"support_key": str(pair[1])}), tmp_path / "bundle.jwe"
    without = [f"--without={name}" for name in ALL_FILES - {"versions.json"}]
    capsys.readouterr()
    assert main(["support-bundle", "--config", str(config), "--out", str(out), "--json", *without]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sealed_to"] == json.loads(pair[1].read_text())["kid"]
    assert out.read_bytes().count(b".") == 4


def _no_configuration(_box: CanaryBox, config: Path) -> None:
    config.unlink()


def _secret_where_no_key_belongs(_box: CanaryBox, config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    document["sealed"]["legacy_key"] = TOKEN
    document["server"]["threads"] = NAMES["what was sent"]
    config.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("break_it", [_no_configuration, _secret_where_no_key_belongs])
def test_a_broken_configuration_is_what_it_tells_of(
    box: CanaryBox, tmp_path: Path, break_it: Callable[[CanaryBox, Path], None]
) -> None:
    config, out = box.site.write("broken.yaml"), tmp_path / "bundle.tar.gz"
    break_it(box, config)
    journal = tmp_path / "none.log"
    assert (
        main(["support-bundle", "--config", str(config), "--unsealed", "--out", str(out), "--journal", str(journal)])
        == 0
    )
    files = contents(out.read_bytes())
    assert leaked(files, box.secrets) == []
    assert b"not made" in files["configuration.json"]
    assert b"not made" in files["journal.jsonl"]
    (row,) = [row for row in json.loads(files["doctor.json"]) if row["id"] == "configuration"]
    assert row["status"] == "needs_doing"


def test_a_running_daemons_metrics_are_in_it(daemon: RunningDaemon, site: Site, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    without = [f"--without={name}" for name in ALL_FILES - {"metrics.txt", "journal.jsonl"}]
    command = ["support-bundle", "--config", str(site.folder / "shared.yaml"), "--unsealed", "--out", str(out)]
    assert main([*command, "--journal", str(daemon.log), *without]) == 0
    files = contents(out.read_bytes())
    assert b"\nfaceverifyd_ready{} 1.0\n" in files["metrics.txt"]
    assert (
        b'faceverifyd_warning{warning="legacy format in use: its fixed IV protects photos weakly"} 1.0'
        in files["metrics.txt"]
    )
    assert b'"event": "warning"' in files["journal.jsonl"]
