"""The device speaks TLS as it should, follows its files, and survives an accident with them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from daemon.config import Tls
from daemon.errors import ConfigurationRefused, DeviceError
from daemon.tls import CIPHERS, EXPIRED, EXPIRES_SOON, UNREADABLE, ServerTls
from tests.certificates import NOW, TlsSite, branch_certificate, new_authority, new_key, new_tls_site, request_for
from tools.authority import CERTIFICATE_VALID

_DAY_S = 24 * 3600.0


@pytest.fixture
def site(tmp_path: Path) -> TlsSite:
    """Files that fit together."""
    return new_tls_site(tmp_path)


class Faults(list[DeviceError]):
    """What was reported."""


def _server(site: TlsSite, ask: bool = False, faults: Faults | None = None, after_s: float = 0.0) -> ServerTls:
    return ServerTls(site.tls, ask, (faults if faults is not None else []).append, lambda: time.time() + after_s)


def _shake(terminal: ssl.SSLContext, server: ServerTls) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, after the handshake."""
    inwards, outwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = terminal.wrap_bio(outwards, inwards, server_hostname="localhost")
    far = server.context().wrap_bio(inwards, outwards, server_side=True)
    for end in (near, far, near, far, near, far):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return near, far


def test_a_terminal_that_trusts_the_authority_gets_through(site: TlsSite) -> None:
    near, _ = _shake(site.terminal(), _server(site))
    assert near.version() == "TLSv1.3"
    assert near.selected_alpn_protocol() is None


@pytest.mark.parametrize("cipher", CIPHERS.split(":")[::2])
def test_each_suite_of_tls_1_2_works(site: TlsSite, cipher: str) -> None:
    terminal = site.terminal()
    terminal.maximum_version = ssl.TLSVersion.TLSv1_2
    terminal.set_ciphers(cipher)
    near, _ = _shake(terminal, _server(site))
    assert (near.cipher() or ("", "", 0))[:2] == (cipher, "TLSv1.2")


def test_the_suites_are_ephemeral_and_authenticated(site: TlsSite) -> None:
    offered = [suite for suite in _server(site).context().get_ciphers() if suite["protocol"] != "TLSv1.3"]
    assert len(offered) == 6
    assert all(suite["aead"] and suite["kea"] == "kx-ecdhe" for suite in offered)


@pytest.mark.parametrize("suite", ["AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384", "DHE-RSA-AES256-GCM-SHA384"])
def test_a_suite_that_is_not_modern_is_refused(site: TlsSite, suite: str) -> None:
    terminal = site.terminal()
    terminal.maximum_version = ssl.TLSVersion.TLSv1_2
    terminal.set_ciphers(f"{suite}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        _shake(terminal, _server(site))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(site: TlsSite) -> None:
    terminal = site.terminal()
    terminal.set_ciphers("DEFAULT:@SECLEVEL=0")
    terminal.minimum_version, terminal.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        _shake(terminal, _server(site))


def test_no_session_outlives_its_connection_by_a_ticket(site: TlsSite) -> None:
    context = _server(site).context()
    assert context.options & ssl.OP_NO_TICKET
    assert context.num_tickets == 0


def test_where_terminals_are_asked_a_known_certificate_is_shown(site: TlsSite) -> None:
    issued = site.authority.for_terminal("till-3", NOW)
    _, far = _shake(site.terminal(issued), _server(site, ask=True))
    assert (far.getpeercert() or {})["subject"][1] == (("commonName", "till-3"),)


def test_where_terminals_are_asked_none_has_to_show_one(site: TlsSite) -> None:
    _, far = _shake(site.terminal(), _server(site, ask=True))
    assert far.getpeercert() is None


def test_where_terminals_are_not_asked_none_shows_one(site: TlsSite) -> None:
    _, far = _shake(site.terminal(site.authority.for_terminal("till-3", NOW)), _server(site))
    assert far.getpeercert() is None


def test_a_certificate_of_a_foreign_authority_does_not_get_through(site: TlsSite) -> None:
    _, foreign = branch_certificate("till-3")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(site.terminal(foreign), _server(site, ask=True))


def test_an_expired_certificate_of_a_terminal_does_not_get_through(site: TlsSite) -> None:
    old = new_authority(NOW - 2 * CERTIFICATE_VALID)
    site = TlsSite(site.folder, old)
    site.write()
    issued = old.for_terminal("till-3", NOW - CERTIFICATE_VALID - timedelta(hours=1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        _shake(site.terminal(issued), _server(site, ask=True))


def test_a_server_s_certificate_does_not_pass_for_a_terminal_s(site: TlsSite) -> None:
    issued = site.authority.for_server(["localhost"], NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        _shake(site.terminal(issued), _server(site, ask=True))


def test_the_last_day_is_the_certificates(site: TlsSite) -> None:
    assert _server(site).last_day() == (NOW + CERTIFICATE_VALID).date()


def test_one_context_serves_all_connections_until_a_file_changes(site: TlsSite) -> None:
    time.sleep(0.06)  # until the files' times prove that they rest
    server = _server(site)
    assert server.context() is server.context()


def test_a_new_certificate_is_shown_to_the_next_connection(site: TlsSite) -> None:
    server = _server(site)
    before, _ = _shake(site.terminal(), server)
    site.write()
    after, _ = _shake(site.terminal(), server)
    assert before.getpeercert() != after.getpeercert()


def test_a_key_without_its_certificate_changes_nothing_until_both_fit(site: TlsSite) -> None:
    faults = Faults()
    server = _server(site, faults=faults)
    before, _ = _shake(site.terminal(), server)
    issued = site.authority.for_server(["localhost"], NOW)
    site.tls.key.write_bytes(issued.key_pem)
    during, _ = _shake(site.terminal(), server)
    server.context()
    assert during.getpeercert() == before.getpeercert()
    assert server.warnings() == (UNREADABLE,)
    assert len(faults) == 1
    assert "KEY_VALUES_MISMATCH" in str(faults[0])
    site.tls.certificate.write_bytes(issued.certificate_pem)
    after, _ = _shake(site.terminal(), server)
    assert after.getpeercert() != before.getpeercert()
    assert server.warnings() == ()


def test_a_fault_that_comes_back_is_reported_again(site: TlsSite) -> None:
    faults = Faults()
    server = _server(site, faults=faults)
    for _ in range(2):
        site.tls.certificate.unlink()
        server.context()
        site.write()
        server.context()
    assert len(faults) == 2


def _readable(tls: Tls) -> None:
    tls.key.chmod(0o640)


def _of_another_certificate(tls: Tls) -> None:
    tls.key.write_bytes(new_authority().for_server(["localhost"], NOW).key_pem)


def _encrypted(tls: Tls) -> None:
    key = load_pem_private_key(tls.key.read_bytes(), None)
    tls.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


def _no_pem(tls: Tls) -> None:
    tls.certificate.write_text("no certificate")


def _of_a_terminal(tls: Tls) -> None:
    issued = new_authority().for_terminal("till-3", NOW)
    tls.key.write_bytes(issued.key_pem)
    tls.certificate.write_bytes(issued.certificate_pem)


def _no_authority(tls: Tls) -> None:
    assert tls.terminals_ca is not None
    tls.terminals_ca.write_bytes(request_for(new_key()))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_readable, "mode 0640"),
        (_of_another_certificate, "KEY_VALUES_MISMATCH"),
        (_encrypted, "server.key"),
        (_no_pem, "server.pem"),
        (_of_a_terminal, "purpose"),
        (_no_authority, "NO_CERTIFICATE"),
        (lambda tls: tls.key.unlink(), "server.key cannot be read: No such file"),
        (lambda tls: tls.certificate.unlink(), "cannot be read: No such file"),
        (lambda tls: tls.terminals_ca.unlink(), "cannot be read: No such file"),
    ],
)
def test_files_that_cannot_serve_are_refused_at_the_start(
    site: TlsSite, harm: Callable[[Tls], None], told: str
) -> None:
    harm(site.tls)
    with pytest.raises(ConfigurationRefused) as refused:
        _server(site, ask=True)
    assert told in str(refused.value)
    assert refused.value.remedy


def test_key_and_certificate_may_be_one_file(site: TlsSite) -> None:
    both = site.tls.key
    both.write_bytes(site.tls.key.read_bytes() + site.tls.certificate.read_bytes())
    server = ServerTls(Tls(both, both, None), ask=False, report=Faults().append)
    assert _shake(site.terminal(), server)[0].version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("after_days", "warnings"), [(0, ()), (699, ()), (701, (EXPIRES_SOON,)), (729, (EXPIRES_SOON,)), (731, (EXPIRED,))]
)
def test_the_end_of_the_certificate_is_told_a_month_before(
    site: TlsSite, after_days: int, warnings: tuple[str, ...]
) -> None:
    assert _server(site, after_s=after_days * _DAY_S).warnings() == warnings


def test_an_expired_certificate_serves_with_a_warning(site: TlsSite) -> None:
    old = new_authority(NOW - 2 * CERTIFICATE_VALID)
    site.write(old.for_server(["localhost"], NOW - CERTIFICATE_VALID - timedelta(hours=1)))
    assert _server(site).warnings() == (EXPIRED,)
