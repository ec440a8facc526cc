"""Where a production device keeps its key-encryption key: in a token, or with systemd; a real daemon with each."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.sealed.kek import CREDENTIALS
from tests.conftest import REPOSITORY, Site, need
from tests.end_to_end.keys import ask, jwks
from tests.end_to_end.photos import plain
from tests.running_daemon import RunningDaemon
from tests.softhsm import CONF, PROGRAM, is_installed, software_token

_KEK = "faceverifyd-kek"
_STORES = ("credstore.encrypted", "credstore")
_PRODUCTION = {"environment": "production", "sealed": {"legacy": False, "allow_published_key": False}}
_BOUND = 'for store in credstore.encrypted credstore; do mount --bind "$0/$store" "/etc/$store"; done; exec "$@"'
"""Shell: run a program that sees a folder's credential stores as the machine's own."""


@dataclass(frozen=True)
class Device:
    """A device in production: its configuration, and how programs are started on it."""

    config: Path
    environment: dict[str, str]
    before: tuple[str, ...] = ()

    def fvctl(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
        """What an action of `fvctl keys` prints; it must end with the code."""
        command = [*self.before, sys.executable, "-m", "tools.cli", "keys", *arguments, "--json", "--config"]
        done = subprocess.run(
            [*command, str(self.config)], env=os.environ | self.environment, cwd=REPOSITORY, capture_output=True
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr.decode()

    def daemon(self, **more: str) -> RunningDaemon:
        """The daemon, not started yet."""
        return RunningDaemon(self.config, self.config.with_suffix(".log"), self.environment | more)

    def refusal(self, **more: str) -> dict[str, Any]:
        """The journal line with which the daemon does not start."""
        daemon = self.daemon(**more)
        with pytest.raises(RuntimeError, match="gunicorn ended"), daemon:
            pass
        (line,) = [event for event in daemon.events if event["event"] == "start_refused"]
        assert line["error"] == "KeyRefused"
        return line


def _serves(daemon: RunningDaemon) -> bool:
    photo = plain(64, 64)  # no face: 4000 says that it was opened
    return bool(ask(daemon, jwks(daemon)[0], photo, photo).json["code"] == 4000)


def _configured(site: Site, folder: Path, **keys: object) -> Path:
    made = Site(folder, Path(site.document["inference"]["engines"]))
    shutil.rmtree(folder / "keys")
    (folder / "kek").unlink()
    return made.write("device.yaml", **_PRODUCTION, keys={"file": None} | keys)


@pytest.fixture
def with_token(site: Site, tmp_path: Path) -> Iterator[Device]:
    """A device whose key-encryption key is in a token."""
    need(PROGRAM, is_installed())
    with software_token(tmp_path) as token:
        plain_settings = {name: str(value) for name, value in dataclasses.asdict(token).items()}
        config = _configured(site, tmp_path, kek="pkcs11", pkcs11=plain_settings)
        yield Device(config, {"SOFTHSM2_CONF": str(tmp_path / CONF)})


def test_a_device_with_a_token_is_set_up_serves_and_is_rotated_without_a_restart(with_token: Device) -> None:
    with_token.fvctl("init")
    with with_token.daemon() as daemon:
        assert _serves(daemon)
        kid = with_token.fvctl("add", "--kind", "p-256", "--activate")["kid"]
        assert jwks(daemon)[0]["kid"] == kid
        assert _serves(daemon)
        with_token.fvctl("rotate-kek")
        assert _serves(daemon)
    assert len(with_token.fvctl("list")) == 3


def test_a_daemon_that_the_token_does_not_let_in_does_not_start(with_token: Device, tmp_path: Path) -> None:
    with_token.fvctl("init")
    (tmp_path / "pin").write_text("654321")
    line = with_token.refusal()
    assert "refuses: PinIncorrect" in line["reason"]
    assert "keys.pkcs11" in line["remedy"]
    assert "654321" not in with_token.config.with_suffix(".log").read_text()
    assert "keys.pkcs11" in with_token.fvctl("list", code=2)


def test_a_daemon_without_its_token_does_not_start(with_token: Device, tmp_path: Path) -> None:
    with_token.fvctl("init")
    shutil.move(tmp_path / "tokens", tmp_path / "taken")
    (tmp_path / "tokens").mkdir()
    assert "refuses: NoSuchToken" in with_token.refusal()["reason"]


def test_a_daemon_that_loses_its_token_s_pin_stops_serving_until_it_is_back(with_token: Device, tmp_path: Path) -> None:
    with_token.fvctl("init")
    pin = tmp_path / "pin"
    right = pin.read_bytes()
    with with_token.daemon() as daemon:
        pin.write_text("654321")
        assert daemon.get("/readyz").json["reasons"] == ["keys_unreadable"]
        pin.write_bytes(right)
        assert daemon.get("/readyz").status == 200
        assert _serves(daemon)


@pytest.fixture
def with_systemd(site: Site, tmp_path: Path) -> Iterator[Device]:
    """A device whose key-encryption key is a credential; the stores of credentials are the test's own."""
    need("systemd-creds", shutil.which("systemd-creds") is not None)
    need("unshare", shutil.which("unshare") is not None)
    need("a test's right to mount", os.geteuid() == 0)
    made = [Path("/etc") / name for name in _STORES if not (Path("/etc") / name).exists()]
    for folder in (*made, *(tmp_path / name for name in _STORES)):
        folder.mkdir(mode=0o700)
    try:
        bound = ("unshare", "--mount", "sh", "-euc", _BOUND, str(tmp_path))
        yield Device(_configured(site, tmp_path, kek="credential"), {}, bound)
    finally:
        for folder in made:
            folder.rmdir()


def _handed_over(folder: Path, name: str) -> str:
    """A folder with the credentials of a device, as systemd hands them over to its unit when it starts it."""
    handed = folder / name
    handed.mkdir()
    for path in (folder / _STORES[0]).iterdir():
        command = [
            "systemd-creds",
            "decrypt",
            f"--name={path.name}",
            "--newline=no",
            str(path),
            str(handed / path.name),
        ]
        subprocess.run(command, check=True, capture_output=True)
        (handed / path.name).chmod(0o400)
    handed.chmod(0o500)
    return str(handed)


def test_a_device_with_a_credential_is_rotated_in_two_steps_with_a_restart_between(
    with_systemd: Device, tmp_path: Path
) -> None:
    with_systemd.fvctl("init")
    with with_systemd.daemon(**{CREDENTIALS: _handed_over(tmp_path, "at first")}) as daemon:
        assert _serves(daemon)
        assert "restart the daemon" in with_systemd.fvctl("rotate-kek", code=1)["next"]
        assert _serves(daemon)
    handed = Path(_handed_over(tmp_path, "after the restart"))
    assert sorted(path.name for path in handed.iterdir()) == [_KEK, f"{_KEK}-next"]
    following = (handed / f"{_KEK}-next").read_bytes()
    with with_systemd.daemon(**{CREDENTIALS: str(handed)}) as daemon:
        assert _serves(daemon)
        with_systemd.fvctl("rotate-kek")
        assert _serves(daemon)
    handed = Path(_handed_over(tmp_path, "at last"))
    assert [path.name for path in handed.iterdir()] == [_KEK]
    assert (handed / _KEK).read_bytes() == following
    with with_systemd.daemon(**{CREDENTIALS: str(handed)}) as daemon:
        assert _serves(daemon)


def test_a_daemon_that_was_handed_nothing_does_not_start_and_says_what_hands_it_over(
    with_systemd: Device, tmp_path: Path
) -> None:
    with_systemd.fvctl("init")
    (tmp_path / "empty").mkdir()
    for more in ({}, {CREDENTIALS: str(tmp_path / "empty")}):
        assert "LoadCredentialEncrypted=" in with_systemd.refusal(**more)["remedy"]


def test_a_daemon_that_was_handed_another_machine_s_key_does_not_start(with_systemd: Device, tmp_path: Path) -> None:
    with_systemd.fvctl("init")
    handed = tmp_path / "another"
    handed.mkdir()
    (handed / _KEK).write_bytes(bytes(32))
    (handed / _KEK).chmod(0o400)
    assert "another key-encryption key" in with_systemd.refusal(**{CREDENTIALS: str(handed)})["reason"]


def test_an_encrypted_credential_is_no_key(with_systemd: Device, tmp_path: Path) -> None:
    with_systemd.fvctl("init")
    shutil.copytree(tmp_path / _STORES[0], tmp_path / "not decrypted")
    assert "expected 32" in with_systemd.refusal(**{CREDENTIALS: str(tmp_path / "not decrypted")})["reason"]


@pytest.fixture
def with_old_systemd(with_systemd: Device, tmp_path: Path) -> Device:
    """The same device with the programs that its shell needs, and no systemd-creds among them."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("unshare", "sh", "mount"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return dataclasses.replace(with_systemd, environment={"PATH": str(programs)})


def test_where_systemd_is_too_old_to_encrypt_the_plain_credential_serves(
    with_old_systemd: Device, tmp_path: Path
) -> None:
    with_old_systemd.fvctl("init")
    assert list((tmp_path / _STORES[0]).iterdir()) == []
    with with_old_systemd.daemon(**{CREDENTIALS: str(tmp_path / _STORES[1])}) as daemon:
        assert _serves(daemon)


def test_where_systemd_is_too_old_a_rotation_ends_with_a_restart(with_old_systemd: Device, tmp_path: Path) -> None:
    with_old_systemd.fvctl("init")
    handed = shutil.copytree(tmp_path / _STORES[1], tmp_path / "at first")
    with with_old_systemd.daemon(**{CREDENTIALS: str(handed)}) as daemon:
        assert _serves(daemon)
        told = with_old_systemd.fvctl("rotate-kek", code=1)
        assert (told["rotated"], told["next"]) == (True, "restart the daemon now: until then it opens no photo")
        assert daemon.get("/readyz").json["reasons"] == ["keys_unreadable"]
    handed = shutil.copytree(tmp_path / _STORES[1], tmp_path / "after the restart")
    with with_old_systemd.daemon(**{CREDENTIALS: str(handed)}) as daemon:
        assert _serves(daemon)
