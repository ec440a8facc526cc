"""The device's own small certificate authority: it signs for the terminals and for the device's own server.

Owns X.509; the authority's private key is handed in. Source of all extensions: RFC 5280, section 4.2.1, and for the
extended key usages section 4.2.1.12.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daemon.api.certificate import DEVICE_ORGANISATION
from daemon.errors import KeyRefused

AUTHORITY_VALID = timedelta(days=20 * 365)
"""Longer than a device is used: a new authority would mean a visit to every terminal."""

CERTIFICATE_VALID = timedelta(days=730)
"""Two years. Source of the most: Apple's platforms refuse server certificates that are valid for over 825 days, also
those of a private authority (support.apple.com/en-us/103769)."""

_BACKDATED = timedelta(days=1)
"""Clocks in a branch differ, and a certificate must be good at once."""

_DNS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*")
"""Source: RFC 1035, section 2.3.1, with the leading digits of RFC 1123, section 2.1."""

_COMMON_NAME_MAX = 64
_RSA_BITS = range(2048, 4097)
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
AuthorityKey = ec.EllipticCurvePrivateKey
"""On P-256, which every TLS library knows."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, and the new private key where one was made for it.

    Attributes:
        certificate_pem: the certificate alone.
        sha256: of its DER, 64 lower-case hex digits.
        expires_utc: after this moment it is refused.
        key_pem: PKCS #8, not encrypted; empty where the key is the terminal's own.
    """

    certificate_pem: bytes
    sha256: str
    expires_utc: datetime
    key_pem: bytes = field(repr=False)


def make_authority(key: AuthorityKey, now: datetime) -> bytes:
    """A self-signed certificate for the authority's key, PEM; it may sign terminals and servers, no authorities."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(DEVICE_ORGANISATION, f"faceverifyd authority {identifier.digest.hex()[:16]}")
    certificate = (
        _builder(name, name, key.public_key())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(of_authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


class Authority:
    """Signs certificates.

    Args:
        key: the authority's.
        trusted_pem: certificates; the authority's own is among them.

    Raises:
        KeyRefused: it is not.
    """

    def __init__(self, key: AuthorityKey, trusted_pem: bytes) -> None:
        self._key = key
        own = [
            certificate for certificate in _certificates(trusted_pem) if certificate.public_key() == key.public_key()
        ]
        if not own:
            raise KeyRefused("the authority's certificate is not there", "Run: fvctl terminals authority")
        self._certificate = own[-1]

    @property
    def certificate_pem(self) -> bytes:
        """The authority's own certificate, which terminals must trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def expires_utc(self) -> datetime:
        """After this moment nothing that it signed is accepted."""
        return self._certificate.not_valid_after_utc

    def for_request(self, terminal: str, request_pem: bytes, now: datetime) -> Issued:
        """A client certificate for a terminal's own key; of the request only the key counts.

        Args:
            terminal: whom the certificate is made out to.
            request_pem: PKCS #10.
            now: the moment of signing, UTC.

        Raises:
            KeyRefused: it is no request, its signature is wrong, or its key is of a kind that TLS here does not take.
        """
        return self._client(terminal, _key_of_request(request_pem), now, b"")

    def for_terminal(self, terminal: str, now: datetime) -> Issued:
        """A client certificate with a new key, which then has to travel to the terminal."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._client(terminal, key.public_key(), now, _pem(key))

    def for_server(self, hosts: Sequence[str], now: datetime) -> Issued:
        """A server certificate with a new key.

        Args:
            hosts: DNS names and IP addresses by which terminals call the device; at least one.
            now: the moment of signing, UTC.

        Raises:
            KeyRefused: one of them is neither.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        common_name = next((host for host in hosts if len(host) <= _COMMON_NAME_MAX), "faceverifyd")
        builder = _builder(_name(DEVICE_ORGANISATION, common_name), self._certificate.subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        return self._signed(builder, ExtendedKeyUsageOID.SERVER_AUTH, now, _pem(key))

    def _client(self, terminal: str, public_key: PublicKey, now: datetime, key_pem: bytes) -> Issued:
        builder = _builder(_name(f"{DEVICE_ORGANISATION} terminal", terminal), self._certificate.subject, public_key)
        return self._signed(builder, ExtendedKeyUsageOID.CLIENT_AUTH, now, key_pem)

    def _signed(
        self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier, now: datetime, key_pem: bytes
    ) -> Issued:
        ends = min(now + CERTIFICATE_VALID, self.expires_utc)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            builder.not_valid_before(max(now - _BACKDATED, self._certificate.not_valid_before_utc))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(of_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        der = certificate.public_bytes(Encoding.DER)
        pem, expires_utc = certificate.public_bytes(Encoding.PEM), certificate.not_valid_after_utc
        return Issued(pem, hashlib.sha256(der).hexdigest(), expires_utc, key_pem)


def hosts_of(certificate_pem: bytes) -> tuple[str, ...]:
    """The DNS names and addresses that a server's certificate is made out to; none where it cannot be read."""
    for certificate in _certificates(certificate_pem)[:1]:
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            break
        return (
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        )
    return ()


def first_end_utc(certificates_pem: bytes) -> datetime | None:
    """When the first of these certificates ends; None where there is none."""
    return min((certificate.not_valid_after_utc for certificate in _certificates(certificates_pem)), default=None)


def as_pkcs12(issued: Issued, terminal: str, password: str) -> bytes:
    """Key and certificate in one encrypted file, as most terminals' systems import them."""
    key = load_pem_private_key(issued.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    (certificate,) = _certificates(issued.certificate_pem)
    encryption = BestAvailableEncryption(password.encode())
    return pkcs12.serialize_key_and_certificates(terminal.encode(), key, certificate, None, encryption)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: PublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(organisation: str, common_name: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def _key_usage(of_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_authority,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _DNS_NAME.fullmatch(host):
            raise KeyRefused(
                f"{host!r} is neither a DNS name nor an IP address", "Give names as terminals call the device."
            ) from None
        return x509.DNSName(host)


def _key_of_request(request_pem: bytes) -> PublicKey:
    remedy = (
        "Make the request on the terminal, for example: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256"
    )
    try:
        request = x509.load_pem_x509_csr(request_pem)
        key, proven = request.public_key(), request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused("this is no certificate request in PEM", remedy) from None
    if not proven:
        raise KeyRefused("the certificate request is not signed with its own key", remedy)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1)):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS:
        return key
    raise KeyRefused("the key of the request is none of P-256, P-384 and RSA with 2048 to 4096 bits", remedy)


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
