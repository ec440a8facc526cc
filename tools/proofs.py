"""What a terminal is to show from now on: a token, a certificate for its own or for a new key, or a name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.api.credentials import token_hash
from daemon.api.registry import CertificateProof, SubjectProof, TokenProof
from daemon.private import OWNER_ONLY
from tools.authority import Authority, Issued, as_pkcs12
from tools.issuing import PUBLIC, read_file, write_new

Proof = TokenProof | CertificateProof | SubjectProof

_TOKEN_BYTES = 32
_SALT_BYTES = 16
_PASSWORD_BYTES = 16
_PKCS12 = (".p12", ".pfx")


@dataclass(frozen=True, slots=True)
class Made:
    """A proof as the registry keeps it, and what the technician is told, once."""

    proof: Proof
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes proofs for one terminal.

    Attributes:
        terminal: its name.
        authority: gives the device's own; asked only where a certificate is made.
        now: the moment, UTC.
    """

    terminal: str
    authority: Callable[[], Authority]
    now: datetime

    def token(self) -> Made:
        """A new bearer token."""
        salt, token = secrets.token_hex(_SALT_BYTES), secrets.token_urlsafe(_TOKEN_BYTES)
        proof = TokenProof("bearer", salt, token_hash(salt, token))
        return Made(proof, {"token": token, "next": "put the token into the terminal now: it is not shown again"})

    def subject(self, name: str) -> Made:
        """Any certificate of the branch's own authority that is made out to a name."""
        return Made(
            SubjectProof("subject", name),
            {"subject": name, "next": "the branch's authority must be in the file that server.tls.terminals_ca names"},
        )

    def for_request(self, request: Path) -> Made:
        """A certificate for the terminal's own key, written beside its request.

        Raises:
            DeviceError: the request or a file is not as it should be; carries a remedy.
        """
        issued = self.authority().for_request(self.terminal, read_file(request), self.now)
        certificate = request.with_suffix(".pem")
        write_new(certificate, issued.certificate_pem, PUBLIC)
        return _made(issued, certificate, {"next": "put the certificate into the terminal"})

    def with_new_key(self, out: Path) -> Made:
        """A new key and its certificate in one file: PKCS #12 where its name ends in .p12 or .pfx, else PEM.

        Raises:
            DeviceError: a file is not as it should be; carries a remedy.
        """
        issued = self.authority().for_terminal(self.terminal, self.now)
        told = {"next": f"put it into the terminal, then delete {out}; better: the terminal's own key, --csr"}
        if out.suffix.lower() in _PKCS12:
            told = {"password": secrets.token_urlsafe(_PASSWORD_BYTES)} | told
            content = as_pkcs12(issued, self.terminal, told["password"])
        else:
            content = issued.key_pem + issued.certificate_pem
        write_new(out, content, OWNER_ONLY)
        return _made(issued, out, told)


def _made(issued: Issued, where: Path, told: dict[str, str]) -> Made:
    proof = CertificateProof("certificate", issued.sha256, issued.expires_utc)
    return Made(proof, {"certificate": str(where), "expires_utc": issued.expires_utc.isoformat()} | told)
