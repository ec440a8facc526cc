"""Does the device show a certificate that terminals accept, and for how long does it accept theirs?"""

from __future__ import annotations

import shlex
from contextlib import suppress

from daemon.config import Tls
from daemon.errors import ConfigurationRefused, DeviceError
from daemon.tls import make_tls
from tools.authority import first_end_utc, hosts_of
from tools.checks.finding import SOON, Check, Device, Finding, no_matter, to_mend, well


def _look(device: Device) -> Finding:
    config, reported = device.load(), list[DeviceError]()
    files = config.server.tls
    if files is None:
        return no_matter("no TLS is configured; only this machine itself can ask")
    try:
        tls = make_tls(config, reported.append)
    except ConfigurationRefused as error:
        if isinstance(error.__context__, OSError):  # ssl.SSLError is one: the files are there, and do not fit together
            return to_mend(str(error.args[0]), _again(files))
        raise
    warnings = tls.warnings() if tls else ()
    if warnings:
        return to_mend(f"the device's certificate: {', '.join(warnings)}", _again(files), warnings=list(warnings))
    return _authority(device, files)


def _authority(device: Device, files: Tls) -> Finding:
    ends = first_end_utc(files.terminals_ca.read_bytes()) if files.terminals_ca else None
    if ends is not None and ends <= device.now + SOON:
        return to_mend(
            f"an authority that signs for terminals ends on {ends:%Y-%m-%d}, and all that it signed with it",
            f"Put its new certificate beside the old one in {files.terminals_ca}, and issue terminals theirs anew.",
        )
    until = f"; the first authority of terminals ends on {ends:%Y-%m-%d}" if ends else ""
    return well(f"the device's certificate and key fit together and are in time{until}")


def _again(files: Tls) -> str:
    hosts: tuple[str, ...] = ()
    with suppress(OSError):
        hosts = hosts_of(files.certificate.read_bytes())
    return f"Make it anew: fvctl terminals server-certificate {shlex.join(hosts) or 'HOST'}"


CHECK = Check("certificate", "Does the device show a certificate that terminals accept?", _look)
