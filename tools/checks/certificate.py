"""Does the device show a certificate that terminals accept?"""

from __future__ import annotations

from daemon.errors import DeviceError
from daemon.tls import make_tls
from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well

_AGAIN = "Make it anew: fvctl terminals server-certificate HOST"


def _look(device: Device) -> Finding:
    config, reported = device.load(), list[DeviceError]()
    tls = make_tls(config, reported.append)
    if tls is None:
        return no_matter("no TLS is configured; only this machine itself can ask")
    warnings = tls.warnings()
    if warnings:
        return to_mend(f"the device's certificate: {', '.join(warnings)}", _AGAIN, warnings=list(warnings))
    return well("the device's certificate and key fit together and are in time")


CHECK = Check("certificate", "Does the device show a certificate that terminals accept?", _look)
