"""Is the weak legacy format in use?"""

from __future__ import annotations

from daemon.api.registry import load_registry
from daemon.config import Config
from tools.checks.finding import Check, Device, Finding, to_mend, well


def _look(device: Device) -> Finding:
    config = device.load()
    if not config.sealed.legacy:
        return well("the legacy format is off")
    return to_mend(
        "the legacy format is on: its fixed IV gives away the XOR of any two photos to who reads the network",
        "Move terminals to JWE (README, for terminal makers), then set sealed.legacy: false.",
        terminals=_until(config, device),
    )


def _until(config: Config, device: Device) -> dict[str, str]:
    """Terminals for which it opens today, and their last day."""
    if config.terminals.registry is None:
        return {"anyone": "while sealed.legacy is on"}
    return {
        record.name: record.legacy_until.isoformat()
        for record in load_registry(config.terminals.registry).terminals
        if record.legacy_until is not None and device.today <= record.legacy_until
    }


CHECK = Check("legacy_format", "Is the weak legacy format in use?", _look)
