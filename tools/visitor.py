"""A terminal for the length of one run: let in, and let in no more when the run ends.

Nothing of it is kept: its token or private key is in memory alone, and its line leaves the registry with the run. Where
a run was killed, the line that stays belongs to a proof that nobody has; the next run takes its place.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

from daemon.api.registry import CertificateProof, TerminalRecord
from daemon.config import Authentication, Config
from daemon.errors import ConfigurationRefused, KeyRefused
from daemon.sealed.keys import KeyKind
from tools.asking import Daemon
from tools.authority import Issued
from tools.issuing import authority_file, load_authority
from tools.keys import authority_key, key_store
from tools.proofs import Maker, Proof
from tools.reaching import own_address, trusting_own
from tools.registry import load, locked, registry_path, store

NAME = "selftest"
"""As the journal calls it."""

_WITHIN_S = 5.0


@contextmanager
def visiting(config: Config, now: datetime) -> Iterator[Daemon]:
    """This device's own daemon, for a terminal that it lets in within the block.

    Raises:
        DeviceError: the terminal cannot be let in; carries a remedy.
    """
    url, trust, token = own_address(config.server), trusting_own(config.server), None
    proof: Proof | None = None
    if config.terminals.authentication is Authentication.BEARER:
        made = Maker(NAME, lambda: load_authority(authority_file(config), authority_key(config)), now).token()
        proof, token = made.proof, str(made.told["token"])
    elif config.terminals.authentication is Authentication.MUTUAL_TLS:
        issued = _certificate(config, now)
        proof = CertificateProof("certificate", issued.sha256, issued.expires_utc)
        assert trust is not None  # mutual TLS without TLS is refused by the configuration's own check
        _show(trust, issued)
    with _registered(config, proof, now) if proof else nullcontext():
        yield Daemon(url, trust, token, _WITHIN_S)


@contextmanager
def _registered(config: Config, proof: Proof, now: datetime) -> Iterator[None]:
    path = registry_path(config)
    # The legacy format opens for it only where the device has no other.
    legacy_until = None if config.sealed.jwe else now.date()
    _replace(path, (TerminalRecord(NAME, proof, legacy_until, None, now),))
    try:
        yield
    finally:
        _replace(path, ())


def _replace(path: Path, mine: tuple[TerminalRecord, ...]) -> None:
    with locked(path):
        store(path, (*(record for record in load(path) if record.name != NAME), *mine))


def _certificate(config: Config, now: datetime) -> Issued:
    """A new key and a certificate of the device's own authority.

    Raises:
        ConfigurationRefused: terminals here show certificates of another authority.
    """
    keys, _ = key_store(config)
    try:
        # Not asked for where there is none: it would be made.
        if any(record.kind is KeyKind.AUTHORITY for record in keys.opened().file.keys):
            return load_authority(authority_file(config), authority_key(config)).for_terminal(NAME, now)
    except KeyRefused as error:
        seen = str(error.args[0])
    else:
        seen = "the device has no authority of its own"
    raise ConfigurationRefused(
        f"no certificate can be made for the self-test: {seen}",
        "Use a terminal's own: fvctl verify A B --certificate FILE; or let the device have an authority: "
        "fvctl terminals authority",
    )


def _show(trust: ssl.SSLContext, issued: Issued) -> None:
    """Let a context show a certificate. OpenSSL takes it from a file: from one that is in memory alone."""
    descriptor = os.memfd_create(NAME)
    with os.fdopen(descriptor, "wb") as file:
        file.write(issued.key_pem + issued.certificate_pem)
        file.flush()
        trust.load_cert_chain(f"/proc/self/fd/{descriptor}")
