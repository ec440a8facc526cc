"""Terminals come and go; a token is shown once and only its hash stays."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.api.credentials import load_credentials
from daemon.config import load_config
from daemon.errors import ConfigurationRefused, UnknownTerminal
from tests.conftest import Site
from tools.cli import main
from tools.terminals import load, store


@pytest.fixture
def bearer(site: Site, tmp_path: Path) -> Path:
    """A configuration whose terminals show bearer tokens; none is known yet."""
    settings = {"authentication": "bearer", "registry": str(tmp_path / "terminals.yaml")}
    return site.write(f"{tmp_path.name}.yaml", terminals=settings)


class Fvctl:
    """`fvctl terminals` with one configuration."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config, self._capsys = config, capsys
        self.err = ""

    def __call__(self, *arguments: str) -> tuple[int, Any]:
        code = main(["terminals", *arguments, "--json", "--config", str(self.config)])
        captured = self._capsys.readouterr()
        self.err = captured.err
        return code, json.loads(captured.out) if captured.out else None

    @property
    def tokens(self) -> Path:
        path = load_config(self.config).terminals.registry
        assert path is not None
        return path


@pytest.fixture
def fvctl(bearer: Path, capsys: pytest.CaptureFixture[str]) -> Fvctl:
    return Fvctl(bearer, capsys)


def test_an_added_terminal_is_listed_and_a_revoked_one_is_not(fvctl: Fvctl) -> None:
    for name in ("counter 1", "counter 2"):
        assert fvctl("add", name)[0] == 0
    assert fvctl("list") == (0, [{"terminal": "counter 1"}, {"terminal": "counter 2"}])
    assert fvctl("revoke", "counter 1")[0] == 0
    assert fvctl("list") == (0, [{"terminal": "counter 2"}])


def test_without_a_file_no_terminal_is_listed(fvctl: Fvctl) -> None:
    assert fvctl("list") == (0, [])


def test_the_daemon_knows_a_token_until_it_is_revoked(fvctl: Fvctl) -> None:
    token = fvctl("add", "counter")[1]["token"]
    settings = load_config(fvctl.config).terminals
    assert load_credentials(settings).terminal(f"Bearer {token}") == "counter"
    fvctl("revoke", "counter")
    with pytest.raises(UnknownTerminal):
        load_credentials(settings).terminal(f"Bearer {token}")


def test_the_token_is_not_stored(fvctl: Fvctl) -> None:
    token = fvctl("add", "counter")[1]["token"]
    assert len(token) >= 43  # 256 bits in base64
    assert token not in fvctl.tokens.read_text()
    assert set(yaml.safe_load(fvctl.tokens.read_text())["terminals"][0]) == {"name", "salt", "token_sha256"}


def test_the_token_is_not_listed(fvctl: Fvctl, capsys: pytest.CaptureFixture[str]) -> None:
    token = fvctl("add", "counter")[1]["token"]
    assert main(["terminals", "list", "--config", str(fvctl.config)]) == 0
    shown = capsys.readouterr().out
    assert "counter" in shown
    assert token not in shown


def test_two_terminals_have_tokens_and_salts_of_their_own(fvctl: Fvctl) -> None:
    tokens = {fvctl("add", name)[1]["token"] for name in "ab"}
    records = load(fvctl.tokens)
    assert len(tokens) == len({record.salt for record in records}) == 2


def test_only_the_owner_may_read_the_file(fvctl: Fvctl) -> None:
    for name in "ab":
        fvctl("add", name)
        assert stat.S_IMODE(fvctl.tokens.stat().st_mode) == 0o600


def test_a_name_that_is_taken_is_refused_and_keeps_its_token(fvctl: Fvctl) -> None:
    fvctl("add", "counter")
    before = fvctl.tokens.read_bytes()
    assert fvctl("add", "counter") == (2, None)
    assert "fvctl terminals revoke counter" in fvctl.err
    assert fvctl.tokens.read_bytes() == before


def test_a_name_that_is_not_there_cannot_be_revoked(fvctl: Fvctl) -> None:
    assert fvctl("revoke", "counter") == (2, None)
    assert "fvctl terminals list" in fvctl.err


@pytest.mark.parametrize("arguments", [["add"], ["revoke"], ["list", "counter"]])
def test_a_name_is_for_add_and_revoke(fvctl: Fvctl, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fvctl(*arguments)
    assert ended.value.code == 64


def test_without_a_configured_file_nothing_is_made(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fvctl = Fvctl(site.write("open.yaml"), capsys)
    assert fvctl("add", "counter") == (2, None)
    assert "terminals.registry" in fvctl.err


def test_a_file_that_cannot_be_written_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"terminals\.yaml cannot be written: No such file") as refused:
        store(tmp_path / "absent" / "terminals.yaml", ())
    assert "Make its folder" in refused.value.remedy


def test_what_an_interrupted_change_left_does_not_block_the_next(fvctl: Fvctl) -> None:
    fvctl.tokens.with_suffix(".making").write_text("half")
    assert fvctl("add", "counter")[0] == 0
    assert {path.name for path in fvctl.tokens.parent.glob("terminals.*")} == {"terminals.yaml", "terminals.lock"}
