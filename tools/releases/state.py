"""What a device is at: which release serves, what is being done, what it never goes back behind; and what was.

One file, replaced whole: whenever the power fails, the file says which step was begun last, and every step can be begun
again. One command changes it at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import pydantic
from pydantic.dataclasses import dataclass

from daemon.errors import ReleaseRefused
from daemon.yaml_file import STRICT
from tools.whole_file import write_whole

_STATE_FILE, _HISTORY_FILE, _LOCK_FILE = "state.json", "history.jsonl", "lock"
_MODE = 0o600


class Step(str, Enum):
    """What is done one after the other; each may be begun again at any time."""

    FETCH = "fetch"
    UNPACK = "unpack"
    ENVIRONMENT = "environment"
    CONFIGURE = "configure"
    ENGINES = "engines"
    PROVE = "prove"
    SWITCH = "switch"
    RESTART = "restart"
    GATE = "gate"
    KEEP = "keep"
    BACK = "back"
    RESTART_BACK = "restart_back"
    CLEAR = "clear"


FORWARD = (
    Step.FETCH,
    Step.UNPACK,
    Step.ENVIRONMENT,
    Step.CONFIGURE,
    Step.ENGINES,
    Step.PROVE,
    Step.SWITCH,
    Step.RESTART,
    Step.GATE,
    Step.KEEP,
)
"""To another release."""

BACKWARD = (Step.BACK, Step.RESTART_BACK, Step.CLEAR)
"""Back to the one before."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Operation:
    """What is being done.

    Attributes:
        kind: install, or rollback where a technician goes back.
        version: to which release.
        origin: from which one; None on a new device.
        source: where the release comes from.
        step: the one that was begun last.
        begun_utc: when.
        reason: why it goes back; empty where it does not.
    """

    kind: str
    version: str
    origin: str | None
    source: str
    step: Step
    begun_utc: str
    reason: str


@dataclass(frozen=True, slots=True, config=STRICT)
class State:
    """The whole file.

    Attributes:
        current: the release that serves and has proven itself; None on a new device.
        previous: the one before, which a technician can go back to.
        floor: nothing older than this is installed.
        known_past_utc: a moment that is over for certain.
        failed: versions that did not prove themselves here; none of them is taken by itself again.
        operation: what is being done; None where nothing is.
    """

    current: str | None
    previous: str | None
    floor: str
    known_past_utc: str
    failed: tuple[str, ...]
    operation: Operation | None

    @property
    def known_past(self) -> datetime:
        """The moment that is over for certain."""
        return datetime.fromisoformat(self.known_past_utc)


NEW_DEVICE = State(None, None, "0", "1970-01-01T00:00:00+00:00", (), None)
"""What a device without the file is at."""


class Ledger:
    """The state file and the history, in their folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.state = self._load()

    def _load(self) -> State:
        path = self._folder / _STATE_FILE
        try:
            return pydantic.TypeAdapter(State).validate_json(path.read_bytes())
        except FileNotFoundError:
            return NEW_DEVICE
        except (OSError, ValueError) as error:
            raise ReleaseRefused(f"{path} cannot be read: {error}", "Repair the disk; then install anew.") from None

    def change(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of State
        """Replace some of the state, durably."""
        self.state = replace(self.state, **changes)
        write_whole(self._folder / _STATE_FILE, (json.dumps(asdict(self.state), indent=1) + "\n").encode(), _MODE)

    def begin(self, step: Step) -> None:
        """The operation's next step is begun."""
        assert self.state.operation is not None
        self.change(operation=replace(self.state.operation, step=step))

    def tell(self, event: str, **fields: object) -> None:
        """Add a line to the history."""
        line = {"utc": datetime.now(timezone.utc).isoformat(timespec="seconds"), "event": event, **fields}
        with (self._folder / _HISTORY_FILE).open("a", encoding="utf-8") as history:
            history.write(json.dumps(line) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Every line; one that a power cut left unfinished is passed over."""
        try:
            lines = (self._folder / _HISTORY_FILE).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@contextmanager
def alone(folder: Path, within_s: float = 30.0) -> Iterator[None]:
    """One change at a time; what it starts holds the lock too, so that nothing is begun while that still writes.

    Args:
        folder: of the state.
        within_s: seconds that are waited: what a killed command had started ends by then.

    Raises:
        ReleaseRefused: another one is at work.
    """
    with (folder / _LOCK_FILE).open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        until = time.monotonic() + within_s
        while not _locked(lock.fileno()):
            if time.monotonic() >= until:
                raise ReleaseRefused(
                    "another fvctl release is at work", "Wait; fvctl release status says what it is at."
                )
            time.sleep(0.2)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
