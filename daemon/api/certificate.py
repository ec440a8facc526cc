"""The certificate that a terminal showed in the TLS handshake, as far as it says who the terminal is.

TLS has proven by then that an accepted authority signed it, that it has not expired, and that the terminal holds its
key. `daemon.tls` sees to that.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEVICE_ORGANISATION = "faceverifyd"
"""Organisation in the name of every device's own authority."""


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What of a certificate can identify a terminal.

    Attributes:
        sha256: of its DER, 64 lower-case hex digits.
        names: its DNS names, else its common names, in lower case. Empty where a device's own authority issued it: it
            then counts by its hash alone, so that one that was revoked is not let in by its name.
    """

    sha256: str
    names: tuple[str, ...]


def shown_certificate(environ: Mapping[str, Any]) -> ShownCertificate | None:
    """The terminal's certificate; None where the connection has none.

    Args:
        environ: a request's WSGI environment as gunicorn makes it.
    """
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, ssl.SSLSocket):
        return None
    told, der = connection.getpeercert(), connection.getpeercert(binary_form=True)
    if not told or not der:  # an empty description: there is a certificate that nobody has verified
        return None
    return ShownCertificate(hashlib.sha256(der).hexdigest(), _names(told))


def _names(told: Mapping[str, Any]) -> tuple[str, ...]:
    """See ShownCertificate. Source: RFC 6125, section 6.4.4: the common name counts only without DNS names."""
    if DEVICE_ORGANISATION in _parts(told["issuer"], "organizationName"):
        return ()
    dns = [value for kind, value in told.get("subjectAltName", ()) if kind == "DNS"]
    return tuple(name.lower() for name in dns or _parts(told["subject"], "commonName"))


def _parts(name: tuple[tuple[tuple[str, str], ...], ...], kind: str) -> list[str]:
    return [value for relative in name for part, value in relative if part == kind]
