"""Terminals and registries for tests."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timezone
from pathlib import Path

from daemon.api.registry import (
    CertificateProof,
    Registry,
    SubjectProof,
    TerminalRecord,
    TokenProof,
    load_registry,
)
from daemon.watched import Watched
from tools.registry import store

SALT = "00112233445566778899aabbccddeeff"
ADDED = datetime(2026, 11, 25, 18, 0, tzinfo=timezone.utc)

Proof = TokenProof | CertificateProof | SubjectProof


def token_proof(token: str) -> TokenProof:
    """What is kept of a token, worked out without the product's code."""
    return TokenProof("bearer", SALT, hashlib.sha256(bytes.fromhex(SALT) + token.encode()).hexdigest())


def certificate_proof(sha256: str, expires_utc: datetime = ADDED) -> CertificateProof:
    """One certificate."""
    return CertificateProof("certificate", sha256, expires_utc)


def subject_proof(subject: str) -> SubjectProof:
    """A name in certificates of the branch's own authority."""
    return SubjectProof("subject", subject)


def terminal(
    name: str, proof: Proof, legacy_until: date | None = None, requests_per_minute: int | None = None
) -> TerminalRecord:
    """A terminal."""
    return TerminalRecord(name, proof, legacy_until, requests_per_minute, ADDED)


def registry_of(path: Path, *terminals: TerminalRecord) -> Watched[Registry]:
    """A registry on disk, followed."""
    store(path, terminals)
    return Watched([path], lambda: load_registry(path))
