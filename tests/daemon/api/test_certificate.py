"""What a certificate says of a terminal, from a real TLS connection."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from daemon.api.certificate import ShownCertificate, shown_certificate
from daemon.tls import ServerTls
from tests.certificates import NOW, TlsSite, branch_certificate, new_tls_site
from tools.authority import Issued


@pytest.fixture
def site(tmp_path: Path) -> TlsSite:
    return new_tls_site(tmp_path)


def _shown(site: TlsSite, issued: Issued | None, ask: bool = True) -> ShownCertificate | None:
    """What the device sees of a terminal that connects with a certificate."""
    near, far = socket.socketpair()
    terminal = site.terminal(issued)

    def connect() -> None:
        with terminal.wrap_socket(near, server_hostname="localhost") as connection:
            connection.recv(1)

    thread = threading.Thread(target=connect)
    thread.start()
    context = ServerTls(site.tls, ask, lambda _fault: None).context()
    with context.wrap_socket(far, server_side=True) as connection:
        shown = shown_certificate({"gunicorn.socket": connection})
        connection.sendall(b".")
    thread.join()
    return shown


def _trusting(site: TlsSite, authority_pem: bytes) -> TlsSite:
    assert site.tls.terminals_ca is not None
    site.tls.terminals_ca.write_bytes(site.authority.certificate_pem + authority_pem)
    return site


def test_one_of_the_device_s_own_authority_counts_by_its_hash_alone(site: TlsSite) -> None:
    issued = site.authority.for_terminal("till-3.branch.example", NOW)
    assert _shown(site, issued) == ShownCertificate(issued.sha256, ())


def test_one_of_the_branch_has_its_dns_names_in_lower_case(site: TlsSite) -> None:
    authority, issued = branch_certificate("Till 3", ("Till-3.Branch.example", "spare.branch.example"))
    shown = _shown(_trusting(site, authority), issued)
    assert shown == ShownCertificate(issued.sha256, ("till-3.branch.example", "spare.branch.example"))


def test_one_without_dns_names_has_its_common_name(site: TlsSite) -> None:
    authority, issued = branch_certificate("Till 3")
    assert _shown(_trusting(site, authority), issued) == ShownCertificate(issued.sha256, ("till 3",))


def test_a_terminal_without_a_certificate_has_shown_none(site: TlsSite) -> None:
    assert _shown(site, None) is None


def test_where_terminals_are_not_asked_none_has_been_shown(site: TlsSite) -> None:
    assert _shown(site, site.authority.for_terminal("till-3", NOW), ask=False) is None


def test_a_certificate_that_nobody_verified_has_not_been_shown(site: TlsSite) -> None:
    near, far = socket.socketpair()
    server = ServerTls(site.tls, ask=False, report=lambda _fault: None).context()

    def serve() -> None:
        with server.wrap_socket(far, server_side=True) as connection:
            connection.sendall(b".")
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    with careless.wrap_socket(near) as connection:
        assert connection.getpeercert(binary_form=True)
        assert shown_certificate({"gunicorn.socket": connection}) is None
        connection.recv(1)
    thread.join()


@pytest.mark.parametrize("environ", [{}, {"gunicorn.socket": None}, {"gunicorn.socket": socket.socket}])
def test_without_tls_no_certificate_has_been_shown(environ: dict[str, object]) -> None:
    assert shown_certificate(environ) is None
