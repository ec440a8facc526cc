"""Whether it is this device's turn: a share of the fleet, a file that holds it back, and what failed here before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from daemon.errors import ReleaseRefused
from tools.releases.manifest import version
from tools.releases.source import Offer
from tools.releases.state import State

_MACHINE_ID = "etc/machine-id"
_HUNDRED = 100


def device_id(root: Path) -> str:
    """What tells this device from others and stays the same. Source: machine-id(5).

    Raises:
        ReleaseRefused: the device has none.
    """
    try:
        found = (root / _MACHINE_ID).read_text("utf-8").strip()
    except OSError:
        found = ""
    if not found:
        raise ReleaseRefused("this device has no /etc/machine-id", "Run: systemd-machine-id-setup")
    return found


def turn_percent(device: str, release: str) -> int:
    """When a device's turn is: 0 to 99, as evenly as a hash, and another one for each release."""
    digest = hashlib.sha256(f"{release}\n{device}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _HUNDRED


def why_not(offer: Offer, state: State, device: str) -> str:
    """Why this device does not take a release by itself; empty where it does."""
    if version(offer.version) < version(state.floor):
        return f"below the floor {state.floor}"
    if state.current is not None and version(offer.version) <= version(state.current):
        return "installed" if offer.version == state.current else "older than what is installed"
    if offer.version in state.failed:
        return "did not prove itself here"
    turn = turn_percent(device, offer.version)
    return "" if turn < offer.rollout_percent else f"not its turn: {offer.rollout_percent} % of the fleet, it is {turn}"


def next_offer(offers: Sequence[Offer], state: State, device: str) -> Offer | None:
    """The newest release whose turn it is."""
    return next((offer for offer in offers if not why_not(offer, state, device)), None)
