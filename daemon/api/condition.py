"""How the device is: what keeps it from serving and what to do, and what ends when.

`/readyz`, `/metrics` and `/status` say the same because all of them ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from daemon.api.admission import Turnstile
from daemon.api.credentials import UNREADABLE
from daemon.api.registry import CertificateProof, Registry
from daemon.config import Sealed
from daemon.errors import DeviceError, KeyRefused
from daemon.inference.network import OnnxNetwork
from daemon.sealed.freshness import CLOCK_SET_BACK, FreshPhotos
from daemon.sealed.keyring import LEGACY_WARNING, PUBLISHED_WARNING, KeyRing
from daemon.tls import EXPIRED, EXPIRES_SOON, ServerTls
from daemon.tls import UNREADABLE as UNREADABLE_FILES
from daemon.watched import Watched

JOURNAL_LOSES = "journal_loses_lines"
LOWERED = "accelerator_lowered"
NO_KEY_OPENS = "no_key_opens"
"""Reason id: a format that is turned on has no key any more; its last one reached its last day, or was destroyed."""

STOPPING = "stopping"
"""Reason id: a connection that is kept can still ask, and no photo is taken."""

DEVICE = "of the device"
"""Whose certificate it is that terminals see."""

_RESTART = "Restart it: systemctl restart faceverifyd; where it fails again: fvctl doctor --only engines"
_START = "Where it was not meant to: systemctl start faceverifyd"
_SET_CLOCK = (
    "Set it: timedatectl set-ntp true, or timedatectl set-time; or, where it is right: systemctl restart faceverifyd"
)

_NEW_CERTIFICATE = "Make it anew: fvctl terminals server-certificate HOST"
_WEAKNESSES = {
    LEGACY_WARNING: (
        LEGACY_WARNING,
        "Move terminals to JWE (README, for terminal makers), then set sealed.legacy: false.",
    ),
    PUBLISHED_WARNING: (
        PUBLISHED_WARNING,
        "Give terminals an own one: fvctl keys add --kind legacy --activate; when they have it: "
        "fvctl keys destroy --compromised KID",
    ),
    EXPIRED: ("the device's certificate has expired: terminals that check it do not ask any more", _NEW_CERTIFICATE),
    EXPIRES_SOON: ("the device's certificate ends within 30 days", _NEW_CERTIFICATE),
    UNREADABLE_FILES: (
        "certificate and key do not fit together: the pair before them is served",
        "Put in both files of one pair; or make them anew: fvctl terminals server-certificate HOST",
    ),
    LOWERED: (
        "a network runs on something slower than inference.accelerator asks for",
        "See what is missing: fvctl doctor --only engines",
    ),
    JOURNAL_LOSES: (
        "nobody took some lines of the journal: what happened then is not written down",
        "Make room: journalctl --vacuum-size=100M; then: systemctl status systemd-journald",
    ),
}
"""Warning to what was seen and what to do, in doctor's words."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why the device does not serve, or serves weakly.

    Attributes:
        id: stable, as `/readyz` or the metric `faceverifyd_warning` gives it.
        seen: one sentence.
        remedy: what to do or type next.
    """

    id: str
    seen: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A key or a certificate, and its last day.

    Attributes:
        what: `key` or `certificate`.
        name: key id; of a certificate whose it is.
        state: of a key as the key store has it; of a certificate whether it is served, or known.
        ends: the last day on which it serves; None where it has none.
    """

    what: str
    name: str
    state: str
    ends: date | None


@dataclass(frozen=True, slots=True)
class Condition:
    """How the device is now.

    Attributes:
        networks: those that are loaded.
        ring: the keys that open photos.
        sealed: which formats must open.
        registry: the terminals that may ask; None where they are not authenticated.
        memory: which sealed photos were seen; None where they may be sent again.
        tls: how connections are protected; None where they are not.
        turnstile: whether anybody is let in.
        warnings: gives the weaknesses in use.
    """

    networks: tuple[OnnxNetwork, ...]
    ring: Watched[KeyRing]
    sealed: Sealed
    registry: Watched[Registry] | None
    memory: FreshPhotos | None
    tls: ServerTls | None
    turnstile: Turnstile
    warnings: Callable[[], tuple[str, ...]]

    def troubles(self) -> list[Trouble]:
        """Why the device does not serve; none where it does."""
        return [*self._failed_networks(), *self._unreadable(), *self._without_key(), *self._clock(), *self._stop()]

    def reasons(self) -> list[str]:
        """The ids of the troubles."""
        return [trouble.id for trouble in self.troubles()]

    def weaknesses(self) -> list[Trouble]:
        """What needs a technician though the device serves."""
        return [Trouble(warning, *_WEAKNESSES.get(warning, (warning, "fvctl doctor"))) for warning in self.warnings()]

    def endings(self) -> list[Ending]:
        """All keys and certificates, what ends first first."""
        found = [*self._keys(), *self._certificates()]
        return sorted(found, key=lambda ending: (ending.ends or date.max, ending.what, ending.name))

    def _failed_networks(self) -> Iterator[Trouble]:
        for network in self.networks:
            if not network.works():
                name = network.manifest.name
                yield Trouble(f"engine_failed:{name}", f"network {name} fails, or computes something else", _RESTART)

    def _unreadable(self) -> Iterator[Trouble]:
        faults: dict[str, DeviceError | None] = {"keys_unreadable": self.ring.fault()}
        if self.registry is not None:
            faults[UNREADABLE] = self.registry.fault()
        for reason, fault in faults.items():
            if fault is not None:
                yield Trouble(reason, str(fault.args[0]), fault.remedy)

    def _without_key(self) -> Iterator[Trouble]:
        try:
            self.ring.kept().require(self.sealed)
        except KeyRefused as fault:
            yield Trouble(NO_KEY_OPENS, str(fault.args[0]), fault.remedy)

    def _stop(self) -> Iterator[Trouble]:
        if self.turnstile.closed:
            yield Trouble(STOPPING, "it stops: what has begun is answered, and nothing new begins", _START)

    def _clock(self) -> Iterator[Trouble]:
        if self.memory is not None and CLOCK_SET_BACK in self.memory.reasons():
            yield Trouble(CLOCK_SET_BACK, "the clock was set back: no photo can be told to be fresh", _SET_CLOCK)

    def _keys(self) -> Iterator[Ending]:
        for record in self.ring.kept().records():
            yield Ending("key", record.kid, record.state.value, record.expires)

    def _certificates(self) -> Iterator[Ending]:
        if self.tls is not None:
            yield Ending("certificate", DEVICE, "served", self.tls.last_day())
        for record in self.registry.kept().terminals if self.registry is not None else ():
            if isinstance(record.proof, CertificateProof):
                yield Ending("certificate", f"of {record.name}", "known", record.proof.expires_utc.date())
