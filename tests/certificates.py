"""Certificates for tests: made by the product's own authority, and by others that the product must not trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon.config import Tls
from tools.authority import Authority, Issued, make_authority

NOW = datetime.now(timezone.utc).replace(microsecond=0)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def new_authority(now: datetime = NOW) -> Authority:
    """The authority of a device that is made now."""
    key = new_key()
    return Authority(key, make_authority(key, now))


def request_for(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate request, PEM, that asks for another name than it should get."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def branch_certificate(
    common_name: str, dns: tuple[str, ...] = (), authority_name: str = "Branch CA"
) -> tuple[bytes, Issued]:
    """A branch's own authority, PEM, and a client certificate of it; shares no code with the product's."""
    root, key = new_key(), new_key()
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, authority_name)])
    ends = NOW + timedelta(days=30)
    builder = x509.CertificateBuilder().not_valid_before(NOW - timedelta(days=1)).not_valid_after(ends)
    authority = (
        builder.subject_name(issuer)
        .issuer_name(issuer)
        .public_key(root.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(root, hashes.SHA256())
    )
    leaf = (
        builder.subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(2)
    )
    if dns:
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in dns]), False)
    signed = leaf.sign(root, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issued = Issued(signed.public_bytes(Encoding.PEM), signed.fingerprint(hashes.SHA256()).hex(), ends, pem)
    return authority.public_bytes(Encoding.PEM), issued


@dataclass(frozen=True)
class TlsSite:
    """A device's TLS files, and contexts for terminals that trust it."""

    folder: Path
    authority: Authority

    @property
    def tls(self) -> Tls:
        """Section `server.tls`."""
        return Tls(self.folder / "server.pem", self.folder / "server.key", self.folder / "terminals_ca.pem")

    @property
    def document(self) -> dict[str, str]:
        """The same for a configuration file."""
        files = {"certificate": self.tls.certificate, "key": self.tls.key, "terminals_ca": self.tls.terminals_ca}
        return {name: str(path) for name, path in files.items()}

    def write(self, issued: Issued | None = None) -> None:
        """Put the files in place; the server's certificate is a new one unless another is given."""
        issued = issued or self.authority.for_server(["localhost", "127.0.0.1"], NOW)
        self.tls.key.write_bytes(issued.key_pem)
        self.tls.key.chmod(0o600)
        self.tls.certificate.write_bytes(issued.certificate_pem)
        assert self.tls.terminals_ca is not None
        self.tls.terminals_ca.write_bytes(self.authority.certificate_pem)

    def terminal(self, issued: Issued | None = None) -> ssl.SSLContext:
        """A terminal's context: it trusts the device's authority, and shows a certificate where it has one."""
        context = ssl.create_default_context(cadata=self.authority.certificate_pem.decode())
        if issued is not None:
            both = self.folder / f"{issued.sha256}.pem"
            both.write_bytes(issued.key_pem + issued.certificate_pem)
            context.load_cert_chain(both)
        return context


def new_tls_site(folder: Path) -> TlsSite:
    """A device with an authority of its own and a server certificate for loopback."""
    site = TlsSite(folder, new_authority())
    site.write()
    return site
