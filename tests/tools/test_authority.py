"""What the device's own authority signs is accepted by OpenSSL for its purpose, and for no other."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, pkcs12

from daemon.errors import KeyRefused
from tests.certificates import NOW, new_authority, new_key, request_for
from tests.conftest import need
from tools.authority import AUTHORITY_VALID, CERTIFICATE_VALID, Authority, Issued, as_pkcs12, make_authority

Issue = Callable[[Authority], Issued]


def _for_terminal(authority: Authority) -> Issued:
    return authority.for_terminal("till-3", NOW)


def _for_request(authority: Authority) -> Issued:
    return authority.for_request("till-3", request_for(new_key()), NOW)


def _for_server(authority: Authority) -> Issued:
    return authority.for_server(["device.branch.example", "10.0.0.7", "fd00::7"], NOW)


each = pytest.mark.parametrize("issue", [_for_terminal, _for_request, _for_server])


@pytest.fixture
def authority() -> Authority:
    return new_authority()


def _read(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate_pem)


def _openssl_says(folder: Path, authority: Authority, issued: Issued, *arguments: str) -> str:
    """What the openssl program thinks of a certificate; no code of ours."""
    need("openssl", which("openssl") is not None)
    trusted, leaf = folder / "authority.pem", folder / "leaf.pem"
    trusted.write_bytes(authority.certificate_pem)
    leaf.write_bytes(issued.certificate_pem)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(trusted), *arguments, str(leaf)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout + said.stderr


@pytest.mark.parametrize(
    ("issue", "purpose"), [(_for_terminal, "sslclient"), (_for_request, "sslclient"), (_for_server, "sslserver")]
)
def test_openssl_accepts_a_certificate_for_its_purpose(
    tmp_path: Path, authority: Authority, issue: Issue, purpose: str
) -> None:
    assert _openssl_says(tmp_path, authority, issue(authority), "-purpose", purpose).strip().endswith("leaf.pem: OK")


@pytest.mark.parametrize(
    ("issue", "purpose"), [(_for_terminal, "sslserver"), (_for_request, "sslserver"), (_for_server, "sslclient")]
)
def test_openssl_refuses_a_certificate_for_the_other_purpose(
    tmp_path: Path, authority: Authority, issue: Issue, purpose: str
) -> None:
    said = _openssl_says(tmp_path, authority, issue(authority), "-purpose", purpose)
    assert "unsuitable certificate purpose" in said or "unsupported certificate purpose" in said


@pytest.mark.parametrize(
    ("check", "name", "fits"),
    [
        ("-verify_hostname", "device.branch.example", True),
        ("-verify_hostname", "other.branch.example", False),
        ("-verify_ip", "10.0.0.7", True),
        ("-verify_ip", "fd00::7", True),
        ("-verify_ip", "10.0.0.8", False),
    ],
)
def test_openssl_finds_the_device_s_names(
    tmp_path: Path, authority: Authority, check: str, name: str, fits: bool
) -> None:
    said = _openssl_says(tmp_path, authority, _for_server(authority), check, name)
    assert ("leaf.pem: OK" in said) is fits


@each
def test_openssl_refuses_what_another_authority_signed(tmp_path: Path, authority: Authority, issue: Issue) -> None:
    assert "unable to get local issuer" in _openssl_says(tmp_path, new_authority(), issue(authority))


@each
def test_the_hash_is_that_of_the_certificate(authority: Authority, issue: Issue) -> None:
    issued = issue(authority)
    assert issued.sha256 == _read(issued).fingerprint(hashes.SHA256()).hex()


@each
def test_a_certificate_is_good_at_once_and_for_two_years(authority: Authority, issue: Issue) -> None:
    issued = issue(authority)
    certificate = _read(issued)
    assert certificate.not_valid_before_utc < NOW
    assert issued.expires_utc == certificate.not_valid_after_utc == NOW + CERTIFICATE_VALID
    # Source: Apple's limit for private authorities, support.apple.com/en-us/103769.
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=825)


@each
def test_no_certificate_outlives_its_authority(issue: Issue) -> None:
    authority = new_authority(NOW - AUTHORITY_VALID + timedelta(days=9))
    assert issue(authority).expires_utc == NOW + timedelta(days=9)


@each
def test_serial_numbers_are_random(authority: Authority, issue: Issue) -> None:
    numbers = [_read(issue(authority)).serial_number for _ in range(3)]
    assert len(set(numbers)) == 3
    # Source: CA/Browser Forum, baseline requirements 7.1: at least 64 bits from a random generator.
    assert all(number.bit_length() > 64 for number in numbers)


@each
def test_extensions_are_those_of_an_end_entity(authority: Authority, issue: Issue) -> None:
    certificate = _read(issue(authority))
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    own = x509.load_pem_x509_certificate(authority.certificate_pem)
    identifier = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert (basic.critical, basic.value.ca) == (True, False)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == identifier


def test_the_authority_may_sign_certificates_and_no_authorities(authority: Authority) -> None:
    own = x509.load_pem_x509_certificate(authority.certificate_pem)
    basic = own.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = own.extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)


def test_two_devices_have_authorities_of_different_names() -> None:
    one, other = (x509.load_pem_x509_certificate(new_authority().certificate_pem).subject for _ in "ab")
    assert one != other


@pytest.mark.parametrize("issue", [_for_terminal, _for_request])
def test_a_certificate_is_made_out_to_whom_the_technician_names(authority: Authority, issue: Issue) -> None:
    (name,) = _read(issue(authority)).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == "till-3"


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA 2048"],
)
def test_a_terminal_s_own_key_gets_a_certificate_and_stays_with_it(
    authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    issued = authority.for_request("till-3", request_for(key), NOW)
    assert _read(issued).public_key() == key.public_key()
    assert issued.key_pem == b""


def _request(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def _point(request_der: bytes) -> bytes:
    return x509.load_der_x509_csr(request_der).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _with_another_key() -> bytes:
    """A request in which the public key was exchanged after it was signed."""
    one, other = (x509.load_pem_x509_csr(request_for(new_key())).public_bytes(Encoding.DER) for _ in "ab")
    return x509.load_der_x509_csr(one.replace(_point(one), _point(other))).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("request_pem", "told"),
    [
        (b"", "no certificate request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no certificate request"),
        (new_authority().certificate_pem, "no certificate request"),
        (_with_another_key(), "not signed with its own key"),
        (_request(rsa.generate_private_key(65537, 1024)), "RSA with 2048 to 4096"),  # noqa: S505 - it is refused
        (_request(ed25519.Ed25519PrivateKey.generate()), "RSA with 2048 to 4096"),
    ],
    ids=["empty", "broken", "certificate", "another's key", "RSA 1024", "Ed25519"],
)
def test_a_request_that_proves_nothing_is_refused(authority: Authority, request_pem: bytes, told: str) -> None:
    with pytest.raises(KeyRefused, match=told) as refused:
        authority.for_request("till-3", request_pem, NOW)
    assert "openssl req" in refused.value.remedy


@pytest.mark.parametrize("host", ["", "with space", "-dash.example", "dash-.example", "a..b", "https://a", "x" * 64])
def test_what_is_no_host_is_refused(authority: Authority, host: str) -> None:
    with pytest.raises(KeyRefused, match="neither a DNS name nor an IP address"):
        authority.for_server(["device.branch.example", host], NOW)


def test_without_its_certificate_there_is_no_authority() -> None:
    with pytest.raises(KeyRefused, match="certificate is not there"):
        Authority(new_key(), new_authority().certificate_pem)


def test_the_authority_s_certificate_is_found_among_others() -> None:
    key = new_key()
    own = make_authority(key, NOW)
    others = new_authority().certificate_pem
    assert Authority(key, others + own + others).certificate_pem == own


def test_a_pkcs12_file_holds_key_and_certificate_under_its_password(authority: Authority) -> None:
    issued = authority.for_terminal("till-3", NOW)
    content = as_pkcs12(issued, "till-3", "a password")
    key, certificate, _ = pkcs12.load_key_and_certificates(content, b"a password")
    assert certificate == _read(issued)
    assert key is not None
    assert key.public_key() == load_pem_private_key(issued.key_pem, None).public_key() == certificate.public_key()
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(content, b"another")


def test_a_private_key_is_not_shown_by_accident(authority: Authority) -> None:
    issued = authority.for_terminal("till-3", NOW)
    assert "PRIVATE" not in repr(issued)
