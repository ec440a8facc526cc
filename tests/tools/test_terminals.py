"""Terminals come, change and go; a token is shown once, and a certificate is made out to whom the technician says."""

from __future__ import annotations

import json
import ssl
import stat
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from daemon.api.certificate import ShownCertificate
from daemon.api.credentials import Credentials
from daemon.api.registry import watch_registry
from daemon.config import load_config
from daemon.errors import UnknownTerminal
from tests.certificates import NOW, new_key, request_for
from tests.conftest import Site
from tests.terminals import certificate_proof, terminal, token_proof
from tools.cli import main
from tools.registry import load, store

TODAY = date(2026, 11, 25)


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

    def done(self, *arguments: str) -> dict[str, Any]:
        """What a call said that went well."""
        code, said = self(*arguments)
        assert code == 0, self.err
        assert isinstance(said, dict)
        return said

    @property
    def registry(self) -> Path:
        path = load_config(self.config).terminals.registry
        assert path is not None
        return path

    @property
    def credentials(self) -> Credentials:
        """As the daemon would make them."""
        settings = load_config(self.config).terminals
        return Credentials(settings.authentication, watch_registry(settings), lambda: TODAY)

    def named(self, name: str) -> dict[str, Any]:
        """A terminal as the list has it."""
        (row,) = [row for row in self("list")[1] if row["terminal"] == name]
        assert isinstance(row, dict)
        return row


Make = Callable[..., Fvctl]


@pytest.fixture
def make(engines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """`fvctl terminals` for a site of the test's own."""

    def made(authentication: str, tls: dict[str, str | None] | None = None) -> Fvctl:
        terminals = {"authentication": authentication, "registry": str(tmp_path / "terminals.yaml")}
        site = Site(tmp_path, engines)
        return Fvctl(site.write("site.yaml", terminals=terminals, server={"tls": tls}), capsys)

    return made


@pytest.fixture
def bearer(make: Make) -> Fvctl:
    """Terminals show tokens; none is known yet."""
    return make("bearer")


@pytest.fixture
def mutual(make: Make, tmp_path: Path) -> Fvctl:
    """Terminals show certificates; the authority is made, and no terminal is known yet."""
    files = {"certificate": "server.pem", "key": "server.key", "terminals_ca": "authority.pem"}
    fvctl = make("mutual_tls", {name: str(tmp_path / file) for name, file in files.items()})
    fvctl.done("authority")
    return fvctl


def test_an_added_terminal_is_listed_and_a_revoked_one_is_not(bearer: Fvctl) -> None:
    for name in ("counter 1", "counter 2"):
        bearer.done("add", name)
    assert [row["terminal"] for row in bearer("list")[1]] == ["counter 1", "counter 2"]
    bearer.done("revoke", "counter 1")
    assert [row["terminal"] for row in bearer("list")[1]] == ["counter 2"]


def test_without_a_file_no_terminal_is_listed(bearer: Fvctl) -> None:
    assert bearer("list") == (0, [])


def test_the_daemon_knows_a_token_until_it_is_revoked(bearer: Fvctl) -> None:
    token = bearer.done("add", "counter")["token"]
    credentials = bearer.credentials
    assert credentials.sender(f"Bearer {token}", None).name == "counter"
    bearer.done("revoke", "counter")
    with pytest.raises(UnknownTerminal):
        credentials.sender(f"Bearer {token}", None)


def test_the_token_is_not_stored(bearer: Fvctl) -> None:
    token = bearer.done("add", "counter")["token"]
    assert len(token) >= 43  # 256 bits in base64
    assert token not in bearer.registry.read_text()
    assert set(yaml.safe_load(bearer.registry.read_text())["terminals"][0]["proof"]) == {"kind", "salt", "token_sha256"}


def test_the_token_is_not_listed(bearer: Fvctl, capsys: pytest.CaptureFixture[str]) -> None:
    token = bearer.done("add", "counter")["token"]
    assert main(["terminals", "list", "--config", str(bearer.config)]) == 0
    shown = capsys.readouterr().out
    assert "counter" in shown
    assert token not in shown


def test_two_terminals_have_tokens_and_salts_of_their_own(bearer: Fvctl) -> None:
    tokens = {bearer.done("add", name)["token"] for name in "ab"}
    proofs = {record.proof for record in load(bearer.registry)}
    assert len(tokens) == len(proofs) == len({getattr(proof, "salt", None) for proof in proofs}) == 2


def test_only_the_owner_may_read_the_file(bearer: Fvctl) -> None:
    for name in "ab":
        bearer.done("add", name)
        assert stat.S_IMODE(bearer.registry.stat().st_mode) == 0o600


def test_a_name_that_is_taken_is_refused_and_keeps_its_token(bearer: Fvctl) -> None:
    bearer.done("add", "counter")
    before = bearer.registry.read_bytes()
    assert bearer("add", "counter") == (2, None)
    assert "fvctl terminals revoke counter" in bearer.err
    assert bearer.registry.read_bytes() == before


@pytest.mark.parametrize("action", ["revoke", "change"])
def test_a_name_that_is_not_there_cannot_be_revoked_or_changed(bearer: Fvctl, action: str) -> None:
    assert bearer(action, "counter") == (2, None)
    assert "fvctl terminals list" in bearer.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["add"],
        ["revoke"],
        ["list", "counter"],
        ["server-certificate"],
        ["add", "-till"],
        ["add", "till\n"],
        ["add", "x" * 65],
        ["add", "till", "--subject", " till"],
        ["add", "till", "--legacy-until", "tomorrow"],
        ["add", "till", "--requests-per-minute", "0"],
        ["add", "till", "--requests-per-minute", "many"],
        ["add", "till", "--token", "--subject", "till"],
        ["revoke", "till", "--token"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(bearer: Fvctl, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bearer(*arguments)
    assert ended.value.code == 64
    assert not bearer.registry.exists()


def test_without_a_configured_file_nothing_is_made(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    fvctl = Fvctl(site.write("open.yaml"), capsys)
    assert fvctl("add", "counter") == (2, None)
    assert "terminals.registry" in fvctl.err


def test_legacy_and_rate_are_as_they_were_given(bearer: Fvctl) -> None:
    bearer.done("add", "counter", "--legacy-until", "2027-06-30", "--requests-per-minute", "30")
    row = bearer.named("counter")
    assert (row["legacy_until"], row["requests_per_minute"]) == ("2027-06-30", 30)


def test_without_options_the_legacy_format_does_not_open_and_the_rate_is_everybody_s(bearer: Fvctl) -> None:
    bearer.done("add", "counter")
    row = bearer.named("counter")
    assert (row["legacy_until"], row["requests_per_minute"]) == (None, None)


def test_a_change_leaves_alone_what_is_not_given(bearer: Fvctl) -> None:
    token = bearer.done("add", "counter", "--legacy-until", "2027-06-30")["token"]
    bearer.done("change", "counter", "--requests-per-minute", "30")
    assert bearer.credentials.sender(f"Bearer {token}", None).legacy
    bearer.done("change", "counter", "--legacy-until", "never", "--requests-per-minute", "default")
    assert not bearer.credentials.sender(f"Bearer {token}", None).legacy
    assert bearer.named("counter")["requests_per_minute"] is None


def test_a_new_token_replaces_the_old_one(bearer: Fvctl) -> None:
    old = bearer.done("add", "counter", "--requests-per-minute", "30")["token"]
    new = bearer.done("change", "counter", "--token")["token"]
    assert bearer.credentials.sender(f"Bearer {new}", None).name == "counter"
    with pytest.raises(UnknownTerminal):
        bearer.credentials.sender(f"Bearer {old}", None)
    assert bearer.named("counter")["requests_per_minute"] == 30


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_terminal_s_own_key_gets_a_certificate_that_the_daemon_knows(mutual: Fvctl, tmp_path: Path) -> None:
    key = new_key()
    request = tmp_path / "till-3.csr"
    request.write_bytes(request_for(key))
    said = mutual.done("add", "till-3", "--csr", str(request))
    certificate = _certificate(tmp_path / "till-3.pem")
    assert said["certificate"] == str(tmp_path / "till-3.pem")
    assert certificate.public_key() == key.public_key()
    shown = ShownCertificate(_sha256(certificate), ())
    assert mutual.credentials.sender(None, shown).name == "till-3"


def _sha256(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def test_a_new_key_and_its_certificate_are_one_file_of_its_owner_s(mutual: Fvctl, tmp_path: Path) -> None:
    out = tmp_path / "till-3.pem"
    said = mutual.done("add", "till-3", "--certificate", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "--csr" in said["next"]
    ssl.create_default_context().load_cert_chain(out)
    assert mutual.credentials.sender(None, ShownCertificate(_sha256(_certificate(out)), ())).name == "till-3"


def test_a_pkcs12_file_opens_with_the_password_that_is_shown_once(mutual: Fvctl, tmp_path: Path) -> None:
    out = tmp_path / "till-3.p12"
    password = mutual.done("add", "till-3", "--certificate", str(out))["password"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    _, certificate, _ = pkcs12.load_key_and_certificates(out.read_bytes(), password.encode())
    assert certificate is not None
    assert mutual.credentials.sender(None, ShownCertificate(_sha256(certificate), ())).name == "till-3"


def test_a_name_in_the_branch_s_own_certificates_is_enough(mutual: Fvctl) -> None:
    mutual.done("add", "till-3", "--subject", "till-3.branch.example")
    shown = ShownCertificate("ab" * 32, ("till-3.branch.example",))
    assert mutual.credentials.sender(None, shown).name == "till-3"


def test_a_subject_that_another_terminal_has_is_refused(mutual: Fvctl) -> None:
    mutual.done("add", "till-3", "--subject", "till-3.branch.example")
    before = mutual.registry.read_bytes()
    assert mutual("add", "till-4", "--subject", "TILL-3.branch.example") == (2, None)
    assert "till-3, till-4" in mutual.err
    assert mutual.registry.read_bytes() == before


def test_a_new_certificate_takes_the_old_one_s_place(mutual: Fvctl, tmp_path: Path) -> None:
    old, new = tmp_path / "old.pem", tmp_path / "new.pem"
    mutual.done("add", "till-3", "--certificate", str(old), "--legacy-until", "2027-06-30")
    mutual.done("change", "till-3", "--certificate", str(new))
    sender = mutual.credentials.sender(None, ShownCertificate(_sha256(_certificate(new)), ()))
    assert (sender.name, sender.legacy) == ("till-3", True)
    with pytest.raises(UnknownTerminal):
        mutual.credentials.sender(None, ShownCertificate(_sha256(_certificate(old)), ()))


def test_a_file_that_is_there_is_not_overwritten(mutual: Fvctl, tmp_path: Path) -> None:
    out = tmp_path / "till-3.pem"
    out.write_text("something else")
    assert mutual("add", "till-3", "--certificate", str(out)) == (2, None)
    assert out.read_text() == "something else"
    assert mutual("list") == (0, [])


def test_without_the_authority_no_certificate_is_made(make: Make, tmp_path: Path) -> None:
    files = {"certificate": "server.pem", "key": "server.key", "terminals_ca": "authority.pem"}
    fvctl = make("mutual_tls", {name: str(tmp_path / file) for name, file in files.items()})
    assert fvctl("add", "till-3", "--certificate", str(tmp_path / "till-3.pem")) == (2, None)
    assert "fvctl terminals authority" in fvctl.err


def test_without_tls_no_server_certificate_is_made(bearer: Fvctl) -> None:
    assert bearer("server-certificate", "device.branch.example") == (2, None)
    assert "server.tls" in bearer.err


def test_a_request_that_is_none_is_refused_with_how_to_make_one(mutual: Fvctl, tmp_path: Path) -> None:
    (tmp_path / "till-3.csr").write_text("no request")
    assert mutual("add", "till-3", "--csr", str(tmp_path / "till-3.csr")) == (2, None)
    assert "openssl req" in mutual.err
    assert mutual("add", "till-3", "--csr", str(tmp_path / "absent.csr")) == (2, None)


@pytest.mark.parametrize(
    ("left", "state", "code"),
    [
        (timedelta(days=31), "accepted", 0),
        (timedelta(days=29), "expires soon", 1),
        (timedelta(days=-1), "expired", 1),
    ],
)
def test_a_certificate_s_end_is_told_a_month_before(mutual: Fvctl, left: timedelta, state: str, code: int) -> None:
    store(mutual.registry, (terminal("till-3", certificate_proof("ab" * 32, NOW + left)),))
    assert mutual("list")[0] == code
    row = mutual.named("till-3")
    assert (row["state"], row["shows"]) == (state, "certificate")
    assert row["expires_utc"] == (NOW + left).isoformat()


def test_who_shows_what_the_configuration_does_not_accept_is_told(mutual: Fvctl) -> None:
    store(mutual.registry, (terminal("till-3", token_proof("token-one")),))
    assert mutual("list")[0] == 1
    assert mutual.named("till-3")["state"] == "not accepted: terminals.authentication is mutual_tls"


def test_a_registry_that_others_may_read_is_told(bearer: Fvctl) -> None:
    bearer.done("add", "counter")
    bearer.registry.chmod(0o644)
    assert bearer("list") == (2, None)
    assert "chmod 600" in bearer.err
