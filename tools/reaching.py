"""From a command line to a daemon: its address, whom it trusts, and what the terminal shows."""

from __future__ import annotations

import argparse
import http.client
import socket
import ssl
from pathlib import Path

from daemon.config import Server, load_config
from daemon.errors import ConfigurationRefused
from tools.asking import Daemon

_UNIX = "unix:"
_WITHIN_S = 3.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - is replaced, not bound
"""Where to call a daemon that listens on all addresses."""


def content_of(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        ConfigurationRefused: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error.strerror}", "Name a file that exists.") from error


def own_address(server: Server) -> str:
    """Where this device's own daemon is called.

    Raises:
        ConfigurationRefused: it listens on Unix sockets only.
    """
    address = next((bind for bind in server.bind if not bind.startswith(_UNIX)), None)
    if address is None:
        raise ConfigurationRefused("server.bind names Unix sockets only", "Name an address: --url http://HOST:PORT")
    host, _, port = address.rpartition(":")
    return f"{'https' if server.tls else 'http'}://{_EVERYWHERE.get(host, host)}:{port}"


def trusting_own(server: Server) -> ssl.SSLContext | None:
    """Trust in this device's own daemon; None where it speaks no TLS.

    The one certificate that is right here is the configured one, whatever host it is made out to.
    """
    if server.tls is None:
        return None
    trust = ssl.create_default_context(cafile=server.tls.certificate)
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trust.check_hostname = False
    return trust


def own_connection(server: Server) -> http.client.HTTPConnection:
    """A connection to this device's own daemon, at the first address that it binds; it may be a Unix socket.

    Raises:
        OSError: nobody listens there.
    """
    bind, trust = server.bind[0], trusting_own(server)
    if bind.startswith(_UNIX):
        connection = http.client.HTTPConnection("localhost", timeout=_WITHIN_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_WITHIN_S)
        connection.sock.connect(bind.removeprefix(_UNIX))
        return connection
    called = _called(bind)
    if trust is None:
        return http.client.HTTPConnection(*called, timeout=_WITHIN_S)
    return http.client.HTTPSConnection(*called, timeout=_WITHIN_S, context=trust)


def shown_certificate(server: Server) -> bytes:
    """The certificate that this device's own daemon shows, DER, whatever it is worth.

    Raises:
        ConfigurationRefused: nobody listens there, or somebody who speaks no TLS.
    """
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    bind = server.bind[0]
    try:
        with (
            socket.create_connection(_called(bind), timeout=_WITHIN_S) as plain,
            anything.wrap_socket(plain) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise ConfigurationRefused(
            f"no daemon answers at {bind} in TLS: {error}", "Start it: systemctl start faceverifyd"
        ) from None


def _called(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    return _EVERYWHERE.get(host, host).strip("[]") or "127.0.0.1", int(port)


def trusting(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A terminal's side of TLS; the device's certificate is always checked.

    Args:
        ca: certificates of the authorities that count, PEM; None: those that the system trusts.
        certificate: the terminal's own, PEM.
        key: its private key, PEM; None: in the same file.

    Raises:
        ConfigurationRefused: a file cannot be read or is none of these, or key and certificate do not fit together.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            # The empty password: openssl must not ask for one on the terminal.
            context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        files = ", ".join(str(path) for path in (ca, certificate, key) if path)
        raise ConfigurationRefused(f"no use can be made of {files}: {error}", "Name PEM files that fit.") from None
    return context


def add_address_arguments(parser: argparse.ArgumentParser) -> None:
    """How the daemon is reached."""
    parser.add_argument("--url", help="address of the daemon (default: where the configuration binds)")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="who signed the device's certificate, PEM")
    parser.set_defaults(token=None, certificate=None, key=None)


def add_credential_arguments(parser: argparse.ArgumentParser) -> None:
    """What the terminal shows."""
    parser.add_argument("--token", type=Path, metavar="FILE", help="file with the bearer token of a terminal")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="the terminal's own certificate, PEM")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its private key, PEM (default: in the same file)")


def daemon_of(args: argparse.Namespace) -> Daemon:
    """The daemon that a command line names, else the one of the configuration.

    Raises:
        ConfigurationRefused: an option or the configuration says what cannot be.
    """
    url, ca = args.url, args.ca
    if not url:
        server = load_config(args.config).server
        # The device's own authority signs for terminals and for the device.
        url, ca = own_address(server), ca or (server.tls and server.tls.terminals_ca)
    trust = trusting(ca, args.certificate, args.key) if ca or args.certificate else None
    token = content_of(args.token).decode("ascii", "replace").strip() if args.token else None
    return Daemon(url, trust, token)
