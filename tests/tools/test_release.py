"""The whole way by the commands that the README shows: keys, signatures, publication; and a device that looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.releases import PLATFORM, skip_elsewhere
from tests.tools.releases.test_source import small_archive
from tools.cli import main
from tools.console import COULD_NOT_RUN, NEEDS_DOING, OK

ROLES = ("root", "targets", "releases", "snapshot", "timestamp")
Fvctl = Callable[..., dict[str, object]]


@pytest.fixture
def fvctl(capsys: pytest.CaptureFixture[str]) -> Fvctl:
    """What `fvctl release` answers, with its exit code."""

    def run(*arguments: object) -> dict[str, object]:
        capsys.readouterr()
        code = main(["release", *map(str, arguments), "--json"])
        printed = capsys.readouterr()
        if code == COULD_NOT_RUN:
            return {"code": code, "error": printed.err}
        answer = json.loads(printed.out)
        return {"code": code, **(answer if isinstance(answer, dict) else {"rows": answer})}

    return run


@pytest.fixture
def published(fvctl: Fvctl, tmp_path: Path) -> Path:
    """A repository with one release that half of the fleet takes; the keys are beside it."""
    keys = {role: tmp_path / f"{role}.key" for role in (*ROLES, "root-2")}
    for path in keys.values():
        assert fvctl("keys", "new", path)["code"] == OK
    public = {role: f"{path}.pub" for role, path in keys.items()}
    folder = tmp_path / "repository"
    who = [word for role in ("root", "targets", "snapshot", "timestamp") for word in (f"--{role}", public[role])]
    asked = ("keys", "root", folder, "--threshold", 2, "--root", public["root-2"])
    assert fvctl(*asked, *who)["to_sign"] == ["root"]
    assert fvctl("sign", folder, "root", keys["root"])["to_sign"] == ["root"]
    assert fvctl("sign", folder, "root", keys["root-2"]) == {"code": OK, "signed": "root", "to_sign": []}
    delegated = fvctl(
        "keys", "delegate", folder, "--releases", public["releases"], "--sign", f"targets={keys['targets']}"
    )
    assert delegated["to_sign"] == []
    signed = [word for role in ("snapshot", "timestamp") for word in ("--sign", f"{role}={keys[role]}")]
    packed = small_archive(tmp_path, "9.0")
    answered = fvctl("publish", folder, packed, "--rollout", 100, *signed)
    assert (answered["code"], answered["to_sign"]) == (NEEDS_DOING, ["releases"])
    assert fvctl("sign", folder, "releases", keys["releases"])["to_sign"] == []
    return folder


@pytest.fixture
def device(published: Path, tmp_path: Path) -> tuple[object, ...]:
    """The words that make a command one of a new device that is updated by a stick."""
    skip_elsewhere()
    root = tmp_path / "disk"
    (root / "etc" / "faceverifyd").mkdir(parents=True)
    (root / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc" / "faceverifyd" / "release.yaml").write_text(f"source: {published}\n")
    return ("--root", root, "--trusted-root", published / "metadata" / "1.root.json")


def test_what_is_published_is_offered(fvctl: Fvctl, device: tuple[object, ...]) -> None:
    assert fvctl("check", *device) == {
        "code": NEEDS_DOING,
        "rows": [{"version": "9.0", "MiB": 0, "rollout_percent": 100, "takes_it": "yes"}],
    }


def test_a_release_that_is_held_back_is_not_taken(
    fvctl: Fvctl, device: tuple[object, ...], published: Path, tmp_path: Path
) -> None:
    signed = [
        word for role in ("releases", "snapshot", "timestamp") for word in ("--sign", f"{role}={tmp_path / role}.key")
    ]
    name = f"faceverifyd-9.0-{PLATFORM}.tar"
    assert fvctl("rollout", published, name, 0, *signed)["to_sign"] == []
    answered = fvctl("check", *device)
    assert answered["code"] == OK
    assert "not its turn: 0 %" in str(answered["rows"])
    assert fvctl("install", *device)["serves"] is None


def test_a_device_that_is_held_takes_nothing(fvctl: Fvctl, device: tuple[object, ...]) -> None:
    (Path(str(device[1])) / "etc" / "faceverifyd" / "hold").touch()
    answered = fvctl("install", *device)
    assert answered["code"] == COULD_NOT_RUN
    assert "holds this device back" in str(answered["error"])


def test_what_does_not_install_is_told_and_stands_in_the_history(fvctl: Fvctl, device: tuple[object, ...]) -> None:
    answered = fvctl("install", "8.0", *device)
    assert "went back, nothing serves: fetch: no 8.0" in str(answered["error"])
    status = fvctl("status", *device)
    assert (status["code"], status["serves"], status["operation"]) == (NEEDS_DOING, None, None)
    rows = fvctl("history", *device)["rows"]
    assert isinstance(rows, list)
    assert [row["event"] for row in rows] == ["begun", "went_back"]


def test_there_is_nothing_to_go_back_to_or_to_go_on_with(fvctl: Fvctl, device: tuple[object, ...]) -> None:
    assert "no release before" in str(fvctl("rollback", *device)["error"])
    assert fvctl("resume", *device)["code"] == NEEDS_DOING


def test_a_key_is_never_written_over(fvctl: Fvctl, tmp_path: Path) -> None:
    fvctl("keys", "new", tmp_path / "a.key")
    before = (tmp_path / "a.key").read_bytes()
    assert "never written over" in str(fvctl("keys", "new", tmp_path / "a.key")["error"])
    assert (tmp_path / "a.key").read_bytes() == before


def test_an_encrypted_key_opens_with_its_passphrase_alone(
    fvctl: Fvctl, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEVERIFYD_RELEASE_PASSPHRASE", "a passphrase")
    fvctl("keys", "new", tmp_path / "a.key")
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()
    assert fvctl("sign", published, "releases", tmp_path / "a.key")["code"] == OK
    monkeypatch.setenv("FACEVERIFYD_RELEASE_PASSPHRASE", "another")
    assert "no key that opens" in str(fvctl("sign", published, "releases", tmp_path / "a.key")["error"])


def test_a_version_is_published_once(fvctl: Fvctl, published: Path, tmp_path: Path) -> None:
    other = small_archive(tmp_path / "other", "9.0")
    release = other.with_suffix("")
    other.write_bytes(other.read_bytes() + b"\0" * 512)
    assert release.is_dir()
    assert "is published and is another" in str(fvctl("publish", published, other)["error"])


def test_too_few_keys_make_no_root(fvctl: Fvctl, published: Path, tmp_path: Path) -> None:
    who = [
        word
        for role in ("root", "targets", "snapshot", "timestamp")
        for word in (f"--{role}", tmp_path / f"{role}.key.pub")
    ]
    assert "cannot sign" in str(fvctl("keys", "root", published, "--threshold", 2, *who)["error"])
