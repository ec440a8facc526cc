"""`fvctl photo` seals what the daemon compares, and inspects without a key."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY
from tests.conftest import Site
from tests.running_daemon import RunningDaemon
from tools.cli import main


class Fvctl:
    """`fvctl photo` beside the running daemon."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = config
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = main(["photo", *map(str, arguments), "--config", str(self._config)])
        return code, *self._capsys.readouterr()

    def told(self, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
        """Exit code and fields."""
        code, out, _ = self(*arguments, "--json")
        fields: dict[str, Any] = json.loads(out)
        return code, fields


@pytest.fixture
def fvctl(site: Site, daemon: RunningDaemon, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    bind = [f"127.0.0.1:{daemon.port}"]
    return Fvctl(site.write("photo.yaml", server={"bind": bind}), capsys)


@pytest.fixture
def photo(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    (tmp_path / "obama.jpg").write_bytes(samples["obama"])
    return tmp_path / "obama.jpg"


@pytest.mark.parametrize("arguments", [[], ["--format", "legacy"]], ids=["jwe", "legacy"])
def test_what_is_written_is_compared_as_it_is(
    fvctl: Fvctl, photo: Path, daemon: RunningDaemon, arguments: list[str]
) -> None:
    sealed = {}
    for name in ("first_encrypted_image", "second_encrypted_image"):
        assert fvctl("seal", photo, "--out", photo.with_name(name), *arguments)[0] == 0
        sealed[name] = photo.with_name(name).read_text()
    assert daemon.verify(sealed).json["verification_score"] == 1.0


def test_standard_output_holds_what_is_to_be_sent_and_not_a_byte_more(fvctl: Fvctl, photo: Path) -> None:
    fvctl("seal", photo, "--format", "legacy", "--out", photo.with_name("a.sealed"))
    assert fvctl("seal", photo, "--format", "legacy") == (0, photo.with_name("a.sealed").read_text(), "")


def test_json_holds_it_too(fvctl: Fvctl, photo: Path) -> None:
    code, fields = fvctl.told("seal", photo)
    assert code == 0
    assert fields["sealed_photo"].count(".") == 4
    assert fields["sealed_bytes"] == len(fields["sealed_photo"])
    assert fields["kid"].startswith("x25519-")


def test_a_photo_is_sealed_without_a_device(photo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "legacy.json").write_text(json.dumps({"key": PUBLISHED_KEY, "iv": PUBLISHED_IV}))
    arguments = ["photo", "seal", str(photo), "--legacy-key", str(tmp_path / "legacy.json")]
    assert main([*arguments, "--config", str(tmp_path / "absent.yaml")]) == 0
    assert len(capsys.readouterr().out) == -(-(photo.stat().st_size + 16) // 3) * 4


def test_keys_are_fetched_from_an_address_without_a_configuration(
    photo: Path, daemon: RunningDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent, jwks = str(tmp_path / "absent.yaml"), f"{daemon.url}/.well-known/jwks.json"
    assert main(["photo", "seal", str(photo), "--jwks", jwks, "--config", absent]) == 0
    assert main(["photo", "seal", str(photo), "--url", daemon.url, "--config", absent]) == 0
    assert capsys.readouterr().out.count(".") == 8


def test_what_was_sealed_shows_no_fault(fvctl: Fvctl, photo: Path) -> None:
    fvctl("seal", photo, "--out", photo.with_name("a.sealed"))
    code, told = fvctl.told("inspect", photo.with_name("a.sealed"))
    assert (code, told["refused"], told["photo_bytes"]) == (0, False, photo.stat().st_size)
    assert "notes" not in told


def test_a_faulty_one_exits_1_with_the_reason(fvctl: Fvctl, photo: Path) -> None:
    code, told = fvctl.told("inspect", photo)
    assert (code, told["refused"], told["code"]) == (1, True, 1200)


def test_standard_input_is_inspected(fvctl: Fvctl, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = fvctl("seal", photo)[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sealed.encode())))
    code, told = fvctl.told("inspect", "-")
    assert (code, told["text_bytes"]) == (0, len(sealed))


def test_a_line_break_at_the_end_is_left_out_and_noted(fvctl: Fvctl, photo: Path) -> None:
    path = photo.with_name("a.sealed")
    path.write_text(fvctl("seal", photo)[1] + "\n")
    code, told = fvctl.told("inspect", path)
    assert (code, told["refused"]) == (0, False)
    assert "line break" in told["notes"]


def test_without_a_configuration_it_is_noted_what_was_not_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.sealed").write_text("#")
    absent = str(tmp_path / "absent.yaml")
    assert main(["photo", "inspect", str(tmp_path / "a.sealed"), "--config", absent, "--json"]) == 1
    assert "absent.yaml cannot be read" in json.loads(capsys.readouterr().out)["notes"]


def test_the_configuration_s_own_rules_count(site: Site, tmp_path: Path, fvctl: Fvctl, photo: Path) -> None:
    fvctl("seal", photo, "--format", "legacy", "--out", tmp_path / "a.sealed")
    strict = Fvctl(
        site.write("photo-strict.yaml", sealed={"legacy": False, "allow_published_key": False}), fvctl._capsys
    )
    code, told = strict.told("inspect", tmp_path / "a.sealed")
    assert code == 1
    assert "sealed.legacy" in told["why"]


@pytest.mark.parametrize("action", [["seal"], ["inspect"]])
def test_text_and_json_have_the_same_fields(fvctl: Fvctl, photo: Path, action: list[str]) -> None:
    out = ["--out", str(photo.with_name("a.sealed"))]
    fvctl("seal", photo, *out)
    arguments = [*action, str(photo), *out] if action == ["seal"] else [*action, out[1]]
    text = fvctl(*arguments)[1]
    assert [line.partition(":")[0] for line in text.splitlines()] == list(fvctl.told(*arguments)[1])


@pytest.mark.parametrize("action", ["seal", "inspect"])
def test_a_file_that_is_not_there_exits_2(fvctl: Fvctl, action: str, tmp_path: Path) -> None:
    code, out, err = fvctl(action, tmp_path / "absent")
    assert (code, out) == (2, "")
    assert "absent cannot be read" in err


@pytest.mark.parametrize("arguments", [[], ["seal"], ["inspect"], ["open", "a"], ["seal", "a", "--insecure"]])
def test_wrong_usage_exits_64(fvctl: Fvctl, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fvctl(*arguments)
    assert ended.value.code == 64
