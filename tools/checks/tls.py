"""Does the daemon show the certificate that is configured?"""

from __future__ import annotations

import ssl

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.reaching import shown_certificate


def _look(device: Device) -> Finding:
    server = device.load().server
    if server.tls is None:
        return no_matter("no TLS is configured; only this machine itself can ask")
    configured = ssl.PEM_cert_to_DER_cert(_first(server.tls.certificate.read_text("ascii")))
    if shown_certificate(server) != configured:
        return to_mend(
            "the daemon shows another certificate than the configured one: it keeps the last pair that fitted",
            "fvctl doctor --only certificate says what is wrong with the files; where nothing is: systemctl restart "
            "faceverifyd",
        )
    return well("the daemon shows the configured certificate")


def _first(pem: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + pem.partition(begin)[2].partition(end)[0] + end + "\n"


CHECK = Check("tls", "Does the daemon show the certificate that is configured?", _look)
