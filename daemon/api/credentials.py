"""Which terminal is calling.

A terminal shows a bearer token or a certificate, as the configuration says. Where terminals are not authenticated
(loopback only), all callers are one terminal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import date, datetime, timezone

from daemon.api.certificate import ShownCertificate
from daemon.api.registry import CertificateProof, Registry, SubjectProof, TerminalRecord, TokenProof
from daemon.config import Authentication
from daemon.errors import UnknownTerminal
from daemon.records import Sender
from daemon.watched import Watched

ANYONE = Sender("anyone", legacy=True)
"""The one terminal where terminals are not authenticated; whether the legacy format opens is `sealed.legacy` alone."""

UNREADABLE = "terminals_unreadable"
"""Reason id for /readyz: the registry cannot be read as it is now, and nobody is let in."""

_SCHEME = "bearer "


def today_utc() -> date:
    """Today's date in UTC, by the device's clock."""
    return datetime.now(timezone.utc).date()


def token_hash(salt: str, token: str) -> str:
    """What is kept of a token: 64 lower-case hex digits."""
    return hashlib.sha256(bytes.fromhex(salt) + token.encode()).hexdigest()


class Credentials:
    """Answers who is calling; every terminal is compared, in constant time, whichever fits.

    Args:
        authentication: what terminals show.
        registry: those that are known; None where terminals are not authenticated.
        today: the date in UTC.
    """

    def __init__(
        self, authentication: Authentication, registry: Watched[Registry] | None, today: Callable[[], date]
    ) -> None:
        self._shows_token = authentication is Authentication.BEARER
        self._registry = registry
        self._today = today

    @property
    def challenge(self) -> str | None:
        """Value of WWW-Authenticate for who is not known; None where no HTTP scheme would help."""
        return "Bearer" if self._shows_token else None

    def reasons(self) -> list[str]:
        """Stable ids of why nobody is let in; none where terminals are."""
        return [UNREADABLE] if self._registry is not None and self._registry.fault() else []

    def sender(self, authorization: str | None, certificate: ShownCertificate | None) -> Sender:
        """The calling terminal.

        Args:
            authorization: the Authorization header, or None where there was none.
            certificate: what it showed in the TLS handshake, or None where it showed none.

        Raises:
            UnknownTerminal: terminals are authenticated and this one is not known.
            ConfigurationRefused: the registry cannot be read as it is now.
        """
        if self._registry is None:
            return ANYONE
        terminals = self._registry.current().terminals
        if self._shows_token:
            known = _known_by_token(terminals, authorization or "")
        else:
            known = _known_by_certificate(terminals, certificate)
        if not known:
            raise UnknownTerminal("no credential that this device knows")
        until = known[0].legacy_until
        return Sender(known[0].name, legacy=until is not None and self._today() <= until)


def _known_by_token(terminals: tuple[TerminalRecord, ...], authorization: str) -> list[TerminalRecord]:
    token = authorization[len(_SCHEME) :] if authorization.lower().startswith(_SCHEME) else ""
    known = [
        record
        for record in terminals
        if isinstance(record.proof, TokenProof)
        and hmac.compare_digest(token_hash(record.proof.salt, token), record.proof.token_sha256)
    ]
    return known if token else []


def _known_by_certificate(
    terminals: tuple[TerminalRecord, ...], certificate: ShownCertificate | None
) -> list[TerminalRecord]:
    return [] if certificate is None else [record for record in terminals if _fits(record, certificate)]


def _fits(record: TerminalRecord, certificate: ShownCertificate) -> bool:
    proof = record.proof
    if isinstance(proof, CertificateProof):
        return hmac.compare_digest(proof.certificate_sha256, certificate.sha256)
    return isinstance(proof, SubjectProof) and proof.subject.lower() in certificate.names
