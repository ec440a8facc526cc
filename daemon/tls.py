"""TLS as the device speaks it: versions, ciphers, its certificate, and whether terminals are asked for theirs.

Owns the server's context, made again when one of its files changed: new connections get the new certificate, those that
are open keep theirs. A terminal without a certificate passes here and is refused by the application, in the contract's
words; one with a certificate of a foreign authority, or an expired one, does not get through the handshake.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone

from daemon.config import Authentication, Config, Tls
from daemon.errors import ConfigurationRefused, DeviceError
from daemon.private import refuse_readable
from daemon.watched import Watched

CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)
"""Cipher suites of TLS 1.2; those of TLS 1.3 are all good. Source: Mozilla's Server Side TLS 5.7, "intermediate", less
the DHE suites: no terminal needs them, and they cost the device most."""

UNREADABLE = "tls_files_unreadable"
EXPIRED = "server_certificate_expired"
EXPIRES_SOON = "server_certificate_expires_soon"
"""Warnings. None of them stops the device: terminals that check its certificate refuse an expired one themselves, and a
device whose clock was reset must not stay silent for it."""

_SOON_S = 30 * 24 * 3600.0
_OUT_OF_TIME = (9, 10)
"""Not yet valid, expired. Source: OpenSSL's x509_vfy.h, X509_V_ERR_CERT_NOT_YET_VALID and ..._HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    expires_s: float
    """Seconds since 1970; 0 where the certificate was out of its time when it was loaded."""


class ServerTls:
    """Gives each new connection its context.

    A broken pair of files does not end the service: certificate and key are two files, and between the replacement of
    the one and of the other they do not fit. The pair before serves until they are repaired, and a warning says so.

    Args:
        settings: the files.
        ask: ask terminals for a certificate.
        report: is told of files that cannot be used, once per fault.
        clock: seconds since 1970.

    Raises:
        ConfigurationRefused: a file is missing or no PEM, the key is readable by others, or they do not fit together.
    """

    def __init__(
        self,
        settings: Tls,
        ask: bool,
        report: Callable[[DeviceError], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._report = report
        self._clock = clock
        self._reported: str | None = None
        files = [settings.certificate, settings.key]
        if settings.terminals_ca is not None:
            files.append(settings.terminals_ca)
        self._files = Watched(files, lambda: _load(settings, ask))

    def context(self) -> ssl.SSLContext:
        """What a connection that begins now is to use."""
        fault = self._files.fault()
        seen = str(fault) if fault else None
        if fault and seen != self._reported:
            self._report(fault)
        self._reported = seen
        return self._files.kept().context

    def last_day(self) -> date:
        """The day, UTC, on which the certificate ends; 1970-01-01 where it was out of its time when it was loaded."""
        return datetime.fromtimestamp(self._files.kept().expires_s, timezone.utc).date()

    def warnings(self) -> tuple[str, ...]:
        """Stable ids of what needs a technician though the device serves."""
        left_s = self._files.kept().expires_s - self._clock()
        ends = ((EXPIRED,) if left_s <= 0 else (EXPIRES_SOON,)) if left_s <= _SOON_S else ()
        return ((UNREADABLE,) if self._files.fault() else ()) + ends


def make_tls(config: Config, report: Callable[[DeviceError], None]) -> ServerTls | None:
    """What the configuration asks for; None where it asks for no TLS.

    Raises:
        ConfigurationRefused: see ServerTls.
    """
    asks = config.terminals.authentication is Authentication.MUTUAL_TLS
    return ServerTls(config.server.tls, asks, report) if config.server.tls else None


def _load(settings: Tls, ask: bool) -> _Loaded:
    refuse_readable(settings.key)
    try:
        context = _context(settings, ask)
        return _Loaded(context, _expiry_s(context, settings))
    except ssl.SSLError as error:
        seen = getattr(error, "verify_message", None) or error.reason or "no PEM"
        raise ConfigurationRefused(
            f"{settings.certificate} and {settings.key} are no certificate and its key for TLS: {seen}",
            "Make them anew: fvctl terminals server-certificate HOST; or put in both files of one pair, in PEM.",
        ) from None
    except OSError as error:
        raise ConfigurationRefused(
            f"{error.filename or settings.certificate} cannot be read: {error.strerror}",
            "Name the files in server.tls, and give them to the daemon's account.",
        ) from None


def _context(settings: Tls, ask: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # No tickets: whoever gets at their key could open recorded traffic, and a handshake costs a millisecond only.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    # An encrypted key must be refused: OpenSSL would ask for its password on a terminal that nobody sits at.
    context.load_cert_chain(settings.certificate, settings.key, password="")
    if ask and settings.terminals_ca is not None:
        context.load_verify_locations(settings.terminals_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the branch may name its issuing authority alone
    return context


def _expiry_s(context: ssl.SSLContext, settings: Tls) -> float:
    """When the certificate ends, told by a handshake in memory: so it is proven that one succeeds at all."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(settings.certificate)
    inwards, outwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    terminal = trusting.wrap_bio(outwards, inwards)
    try:
        _shake_hands(terminal, context.wrap_bio(inwards, outwards, server_side=True))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OUT_OF_TIME:
            return 0.0
        raise
    return float(ssl.cert_time_to_seconds(str((terminal.getpeercert() or {})["notAfter"])))


def _shake_hands(terminal: ssl.SSLObject, device: ssl.SSLObject) -> None:
    waiting = [terminal, device]
    while waiting:
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(end)
