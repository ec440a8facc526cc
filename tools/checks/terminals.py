"""Are all terminals known by proofs that still hold?"""

from __future__ import annotations

import shlex

from daemon.api.registry import CertificateProof, load_registry
from daemon.config import Authentication
from tools.checks.finding import SOON, Check, Device, Finding, no_matter, to_mend, well


def _look(device: Device) -> Finding:
    settings = device.load().terminals
    if settings.authentication is Authentication.NONE or settings.registry is None:
        return no_matter("terminals are not authenticated; only this machine itself can ask")
    terminals = load_registry(settings.registry).terminals
    if not terminals:
        shows = "" if settings.authentication is Authentication.BEARER else " --certificate till-1.pem"
        return to_mend("no terminal is known: nobody can ask", f"Add one: fvctl terminals add till-1{shows}")
    soon = {
        record.name: record.proof.expires_utc.isoformat()
        for record in terminals
        if isinstance(record.proof, CertificateProof) and record.proof.expires_utc <= device.now + SOON
    }
    if soon:
        return to_mend(
            f"certificates expired, or about to: {', '.join(sorted(soon))}",
            f"Issue each a new one: fvctl terminals change {shlex.quote(min(soon))} --certificate new.pem; or, where "
            "the key stays in the terminal, with --csr FILE",
            **soon,
        )
    return well(f"{len(terminals)} terminals are known, and no certificate ends within {SOON.days} days")


CHECK = Check("terminals", "Are all terminals known by proofs that still hold?", _look)
