"""Runs `fvctl keys` again and again in processes that are killed: `python -m tests.tools.interrupted_keys JOBS`.

JOBS is a JSON list. Each job restores the folder `base` as `work`, runs `arguments` with the configuration in it and
kills the process just before the n-th line of our own code that it executes (`line`), just before its n-th change to
the file system (`step`), or after so many seconds (`delay`), for one n after the other. Prints what was found after
each kill, and after the operation was repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from daemon.config import Config, load_config
from daemon.errors import DeviceError
from daemon.sealed.keys import KeyState
from tools import keys

_CHANGES = ("open", "os.mkdir", "os.rename", "os.remove", "os.truncate", "os.chown", "fcntl.flock", "subprocess.Popen")
_OURS = (
    "daemon.sealed.token",
    "tools.whole_file",
    "tools.key_audit",
    "tools.key_store",
    "tools.key_changes",
    "tools.kek_keeping",
    "tools.keys",
)
"""Modules whose lines are counted."""

CONFIG = "faceverifyd.yaml"


@dataclass(frozen=True)
class Job:
    """One operation, and when to kill it: for `line` and `step` every so many, for `delay` so many times."""

    base: Path
    work: Path
    arguments: list[str]
    how: str
    every: int
    config: Config

    def run(self) -> Iterator[dict[str, Any]]:
        """What was found after each kill."""
        began_s = time.monotonic()
        self._restore()
        _in_child(lambda: self._operate(lambda: None))
        lasts_s = time.monotonic() - began_s
        moments = range(1, 1 << 30, self.every) if self.how != "delay" else range(self.every)
        for moment in moments:
            self._restore()
            killed = self._killed(moment, lasts_s)
            if not killed and self.how != "delay":
                return
            if killed and not self._took_the_token():
                yield {"operation": self.arguments[0], "how": self.how, "moment": moment, **_in_child(self._aftermath)}

    def _restore(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work)

    def _killed(self, moment: int, lasts_s: float) -> bool:
        if self.how == "delay":
            delay_s = secrets.SystemRandom().random() * lasts_s
            return _in_child(lambda: self._operate(lambda: None), delay_s) is None
        watch = {"line": _before_line, "step": _before_step}[self.how]
        return _in_child(lambda: self._operate(lambda: watch(moment, self.work))) is None

    def _took_the_token(self) -> bool:
        """Whether the kill came while SoftHSM wrote its own file, in place, as it does at every login.

        It has lost the token then, with or without us, as no token of hardware is lost; such a kill is not counted.
        """
        return any(
            (self.work / path.relative_to(self.base)).stat().st_size != path.stat().st_size
            for path in self.base.glob("tokens/*/token.object")
        )

    def _aftermath(self) -> dict[str, Any]:
        return {"found": self._look(), "repeated": self._operate(lambda: None), "then": self._look()}

    def _operate(self, watch: Callable[[], None]) -> object:
        parser = argparse.ArgumentParser()
        keys.add_arguments(parser)
        args = parser.parse_args(self.arguments)
        args.json = True
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the child ends soon
        watch()
        try:
            return args.act(args, self.config)
        except DeviceError as error:
            return str(error)

    def _look(self) -> object:
        """States by key id, and operations that took no effect; a text where nothing opens."""
        store, _ = keys.key_store(self.config)
        try:
            opened = store.opened()
            opened.opened(state for state in KeyState if state is not KeyState.DESTROYED)
            states = {record.kid: record.state.value for record in opened.file.keys}
            return {"states": states, "interrupted": [entry.operation for entry in store.audit()[1]]}
        except DeviceError as error:
            return str(error)


def _in_child(act: Callable[[], object], delay_s: float | None = None) -> Any:  # noqa: ANN401 - JSON
    """What an act gives in a process of its own; None where that process was killed, after a while if one is given."""
    inwards, outwards = os.pipe()
    child = os.fork()
    if not child:
        result = json.dumps({"result": act()})
        os.write(outwards, result.encode())
        os._exit(0)
    os.close(outwards)
    if delay_s is not None:
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(inwards, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return json.loads(content)["result"] if content else None


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before_step(moment: int, work: Path) -> None:
    seen = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        reads = event == "open" and args[1] in ("r", "rb")
        if event not in _CHANGES or reads or (event == "open" and str(work) not in str(args[0])):
            return
        seen += 1
        if seen == moment:
            _die()

    sys.addaudithook(count)


def _before_line(moment: int, _work: Path) -> None:
    seen = 0

    def count(_frame: FrameType, event: str, _arg: object) -> Callable[..., Any]:
        nonlocal seen
        seen += event == "line"
        if seen == moment:
            _die()
        return count

    def enter(frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        return count if frame.f_globals.get("__name__") in _OURS else None

    sys.settrace(enter)


def _job(base: str, work: str, arguments: list[str], how: str, every: int) -> Job:
    shutil.copytree(base, work, dirs_exist_ok=True)  # the configuration's paths are those of `work`
    return Job(Path(base), Path(work), arguments, how, every, load_config(Path(work) / CONFIG))


if __name__ == "__main__":
    jobs = [_job(**plain) for plain in json.loads(sys.argv[1])]
    sys.stdout.write(json.dumps([found for job in jobs for found in job.run()]))
