"""The terminals that may ask: the file that names them, and what each shows to prove who it is.

Owns the file's form and reading it, again whenever it changed; `fvctl terminals` writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass

from daemon.config import AtLeastOne, Authentication, Terminals
from daemon.errors import ConfigurationRefused
from daemon.manifest import Sha256
from daemon.private import refuse_readable
from daemon.watched import Watched
from daemon.yaml_file import STRICT, read_yaml

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"
"""At most 64 characters: a certificate's common name has no more. Source: RFC 5280, appendix A.1, ub-common-name."""

SUBJECT_PATTERN = r"^[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,251}[^\x00-\x20\x7f])?$"
"""At most 253 characters, as a DNS name. Source: RFC 1035, section 2.3.4, less the length octets of its text form."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


@dataclass(frozen=True, slots=True, config=STRICT)
class TokenProof:
    """A bearer token; SHA-256 of salt and token is kept. A token has 256 random bits, so one round is enough."""

    kind: Literal["bearer"]
    salt: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){16,32}$")]
    token_sha256: Sha256


@dataclass(frozen=True, slots=True, config=STRICT)
class CertificateProof:
    """One certificate, by SHA-256 of its DER; `expires_utc` is the certificate's own."""

    kind: Literal["certificate"]
    certificate_sha256: Sha256
    expires_utc: AwareDatetime


@dataclass(frozen=True, slots=True, config=STRICT)
class SubjectProof:
    """Any certificate of the branch's own authority that is made out to this name."""

    kind: Literal["subject"]
    subject: Annotated[str, Field(pattern=SUBJECT_PATTERN)]


@dataclass(frozen=True, slots=True, config=STRICT)
class TerminalRecord:
    """One terminal.

    Attributes:
        name: as logs and symmetric keys call it.
        proof: what it shows.
        legacy_until: last day, UTC, on which the legacy format opens for it; None: it never does.
        requests_per_minute: instead of the configuration's; None: that one.
        added_utc: when it was added.
    """

    name: Name
    proof: Annotated[TokenProof | CertificateProof | SubjectProof, Field(discriminator="kind")]
    legacy_until: date | None
    requests_per_minute: AtLeastOne | None
    added_utc: AwareDatetime


@dataclass(frozen=True, slots=True, config=STRICT)
class TerminalFile:
    """The file that `terminals.registry` names."""

    terminals: tuple[TerminalRecord, ...]


class Registry:
    """The terminals of one file, in its order.

    Attributes:
        terminals: all of them.
        by_name: the same, by name.
    """

    def __init__(self, terminals: tuple[TerminalRecord, ...]) -> None:
        self.terminals = terminals
        self.by_name: Mapping[str, TerminalRecord] = MappingProxyType({record.name: record for record in terminals})


def load_registry(path: Path) -> Registry:
    """The terminals of a file.

    Raises:
        ConfigurationRefused: missing, readable by others, malformed, or two terminals share a name or a proof. The
            text never holds what a terminal shows.
    """
    refuse_readable(path)
    terminals = read_yaml(path, TerminalFile, secret=True).terminals
    twice = _twice(record.name for record in terminals)
    if twice:
        raise ConfigurationRefused(f"{path}: given twice: {', '.join(twice)}", "Keep one of each in the file.")
    shared = _twice(proven_by(record) for record in terminals)
    if shared:
        names = (record.name for record in terminals if proven_by(record) in shared)
        raise ConfigurationRefused(
            f"{path}: these show the same: {', '.join(names)}", "Revoke all but one of them: fvctl terminals revoke"
        )
    return Registry(terminals)


def proven_by(record: TerminalRecord) -> str:
    """What makes a terminal's proof differ from every other's."""
    proof = record.proof
    if isinstance(proof, TokenProof):
        return f"{proof.kind} {proof.salt}{proof.token_sha256}"
    shown = proof.certificate_sha256 if isinstance(proof, CertificateProof) else proof.subject.lower()
    return f"{proof.kind} {shown}"


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]


def watch_registry(settings: Terminals) -> Watched[Registry] | None:
    """The configuration's registry, read again when it changed; None where terminals are not authenticated.

    Raises:
        ConfigurationRefused: none is named, or see `load_registry`.
    """
    if settings.authentication is Authentication.NONE:
        return None
    path = settings.registry
    if path is None:  # never fall back to letting everybody in
        raise ConfigurationRefused("no registry of terminals is configured", "Name a file in terminals.registry.")
    return Watched([path], lambda: load_registry(path))
