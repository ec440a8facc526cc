"""A check's answer, and what a check is given to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from daemon.app import Networks
from daemon.config import Config
from daemon.errors import DeviceError
from daemon.sealed.keystore import OpenedStore
from tools.key_audit import Entry

SOON = timedelta(days=30)
"""A technician comes by within a month."""

WITHIN_S = 6.0
"""A check that looks at files and asks who is on this machine takes a second on the slowest device."""

AS_ROOT = "Run it again as root, with sudo."


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


def unknown(seen: str, remedy: str) -> Finding:
    """It cannot be told, and how it could."""
    return Finding(Status.UNKNOWN, seen, remedy)


@dataclass(frozen=True, slots=True)
class Device:
    """What checks look at. Everything that several of them ask for is made once, however many ask.

    Attributes:
        path: the configuration file.
        load: gives the configuration, or raises what is wrong with it.
        opened_store: gives the key store, opened; raises a DeviceError.
        key_log: gives the log of key changes, and of it the entries that no change followed; raises a DeviceError.
        networks: gives the networks, loaded and proven; raises a DeviceError.
        now: the time, with its zone.
        root: where /proc, /sys, /etc and /run are.
    """

    path: Path
    load: Callable[[], Config]
    opened_store: Callable[[], OpenedStore]
    key_log: Callable[[], tuple[list[Entry], list[Entry]]]
    networks: Callable[[], Networks]
    now: datetime
    root: Path = Path("/")

    @property
    def today(self) -> date:
        """The day."""
        return self.now.date()


@dataclass(frozen=True, slots=True)
class Check:
    """One question.

    Attributes:
        id: stable, for machines and for `--only`.
        question: for people.
        look: gives the answer; a DeviceError that it raises is a finding too.
        within_s: seconds after which it counts as hung.
    """

    id: str
    question: str
    look: Callable[[Device], Finding]
    within_s: float = WITHIN_S


def found(check: Check, device: Device) -> Finding:
    """The answer to a question, whatever is broken."""
    try:
        return check.look(device)
    except DeviceError as error:
        if os.geteuid() != 0 and any(isinstance(cause, PermissionError) for cause in _causes(error)):
            return unknown(str(error.args[0]), AS_ROOT)
        return to_mend(str(error.args[0]), error.remedy)
    except PermissionError as error:
        return unknown(f"{error.filename} is not for this account to see", AS_ROOT)
    except Exception as error:  # noqa: BLE001 - doctor answers whatever is broken
        return unknown(f"the check itself failed: {type(error).__name__}", "Send this to support.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it, also where it was raised `from None`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
