"""A check's answer, and what a check is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from daemon.config import Config
from daemon.errors import DeviceError
from daemon.sealed.keystore import OpenedStore
from tools.key_store import KeyStore

SOON = timedelta(days=30)
"""A technician comes by within a month."""


class Status(str, Enum):
    """How it is: well, to be mended, of no matter on this device, or unknown because something else is broken."""

    OK = "ok"
    NEEDS_DOING = "needs_doing"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        status: how it is.
        seen: one sentence.
        remedy: one sentence, what to do or type next; empty where nothing is to be done.
        evidence: what it was told by; nothing secret.
    """

    status: Status
    seen: str
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def well(seen: str, **evidence: object) -> Finding:
    """Nothing to do."""
    return Finding(Status.OK, seen, evidence=evidence)


def to_mend(seen: str, remedy: str, **evidence: object) -> Finding:
    """Something to do."""
    return Finding(Status.NEEDS_DOING, seen, remedy, evidence)


def no_matter(seen: str) -> Finding:
    """Not a question on this device."""
    return Finding(Status.NOT_APPLICABLE, seen)


@dataclass(frozen=True, slots=True)
class Device:
    """What checks look at.

    Attributes:
        path: the configuration file.
        load: gives the configuration, or raises what is wrong with it.
        store: gives the key store of a configuration.
        now: the time, with its zone.
    """

    path: Path
    load: Callable[[], Config]
    store: Callable[[Config], KeyStore]
    now: datetime

    @property
    def today(self) -> date:
        """The day."""
        return self.now.date()

    def opened_store(self) -> OpenedStore:
        """The key store.

        Raises:
            DeviceError: it, or the configuration that names it, is not as it should be.
        """
        return self.store(self.load()).opened()


@dataclass(frozen=True, slots=True)
class Check:
    """One question.

    Attributes:
        id: stable, for machines and for `--only`.
        question: for people.
        look: gives the answer; a DeviceError that it raises is a finding too.
    """

    id: str
    question: str
    look: Callable[[Device], Finding]


def found(check: Check, device: Device) -> Finding:
    """The answer to a question, whatever is broken."""
    try:
        return check.look(device)
    except DeviceError as error:
        return to_mend(str(error.args[0]), error.remedy)
    except Exception as error:  # noqa: BLE001 - doctor answers whatever is broken
        return Finding(Status.UNKNOWN, f"the check itself failed: {type(error).__name__}", "Send this to support.")
