"""Are all terminals known by proofs that still hold?"""

from __future__ import annotations

from daemon.api.registry import CertificateProof, load_registry
from daemon.config import Authentication
from tools.checks.finding import SOON, Check, Device, Finding, no_matter, to_mend, well


def _look(device: Device) -> Finding:
    settings = device.load().terminals
    if settings.authentication is Authentication.NONE or settings.registry is None:
        return no_matter("terminals are not authenticated; only this machine itself can ask")
    terminals = load_registry(settings.registry).terminals
    if not terminals:
        return to_mend("no terminal is known: nobody can ask", "Add one: fvctl terminals add NAME")
    soon = {
        record.name: record.proof.expires_utc.isoformat()
        for record in terminals
        if isinstance(record.proof, CertificateProof) and record.proof.expires_utc <= device.now + SOON
    }
    if soon:
        return to_mend(
            f"certificates expired, or about to: {', '.join(sorted(soon))}",
            "Issue them anew: fvctl terminals change NAME --csr FILE",
            **soon,
        )
    return well(f"{len(terminals)} terminals are known, and no certificate ends within {SOON.days} days")


CHECK = Check("terminals", "Are all terminals known by proofs that still hold?", _look)
