"""The device's clock jumps by a year and back: what depends on dates follows it, and nothing else does.

The clock is changed below the product, by clock.c; monotonic clocks run on, as where somebody sets the time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import REPOSITORY, Site, need
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.keys import ask, jwks
from tests.running_daemon import RunningDaemon
from tools.key_changes import adding, moving
from tools.key_making import make_key
from tools.key_store import Operation
from tools.keys import key_store
from tools.sealing import jwe_sealer

_PROGRAM = "cc"
_YEAR_S = 365 * 24 * 3600
_FRESHNESS = {"max_age_s": 60.0, "clock_skew_s": 5.0, "remembered": 1000}


@dataclass
class Clock:
    """The wall clock of a daemon and of what is run beside it."""

    file: Path

    library: Path

    def set(self, off_s: int) -> None:
        """How far it is from this machine's."""
        with self.file.open("r+b", buffering=0) as file:  # in place: the processes have it mapped
            file.write(struct.pack("l", off_s))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process follow it."""
        return {"LD_PRELOAD": str(self.library), "FACEVERIFYD_CLOCK": str(self.file)}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    need(_PROGRAM, shutil.which(_PROGRAM) is not None)
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([_PROGRAM, "-Wall", "-Werror", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    (tmp_path / "offset").write_bytes(bytes(8))
    return Clock(tmp_path / "offset", library)


@pytest.fixture
def own(tmp_path: Path, site: Site, engines: Path) -> Site:
    """A site with one key that ends in a month."""
    assert site.folder.is_dir()  # the engines are built
    made = Site(tmp_path, engines)
    keys, _ = key_store(load_config(made.write()))
    key = make_key(KeyKind.X25519)
    keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, date.today() + timedelta(days=31)))
    made.document["terminals"] |= {"requests_per_minute": 6, "burst": 8}
    return made


@pytest.fixture
def config(own: Site) -> Path:
    return own.write()


@pytest.fixture
def daemon(config: Path, clock: Clock) -> Iterator[RunningDaemon]:
    with RunningDaemon(config, config.with_suffix(".log"), clock.environment) as running:
        yield running


def _doctor(config: Path, clock: Clock, check: str) -> dict[str, Any]:
    """Doctor's answer by the device's clock."""
    command = [sys.executable, "-m", "tools.cli", "doctor", "--only", check, "--json", "--config", str(config)]
    environment = os.environ | clock.environment
    told = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, check=False)
    (row,) = json.loads(told.stdout)
    assert isinstance(row, dict)
    return row


def test_keys_end_by_the_clock_and_open_again_when_it_is_set_right(
    daemon: RunningDaemon, config: Path, clock: Clock, small: dict[str, bytes]
) -> None:
    (key,) = [key for key in jwks(daemon) if key["kid"] == _newest(config)]
    score = check_compared(ask(daemon, key, small["obama"], small["biden"]))
    clock.set(_YEAR_S)
    check_refused(ask(daemon, key, small["obama"], small["biden"]), 1200, field="first_encrypted_image")
    assert _newest(config) in _doctor(config, clock, "key_expiry")["seen"]
    clock.set(0)
    assert check_compared(ask(daemon, key, small["obama"], small["biden"])) == score
    clock.set(-_YEAR_S)
    assert check_compared(ask(daemon, key, small["obama"], small["biden"])) == score
    assert "timedatectl" in _doctor(config, clock, "clock")["remedy"]


def test_a_device_whose_last_key_has_ended_is_not_ready_until_it_has_another(
    own: Site, clock: Clock, small: dict[str, bytes]
) -> None:
    config = own.write(sealed={"legacy": False})
    keys, _ = key_store(load_config(config))
    for endless in [record.kid for record in keys.opened().file.keys if record.expires is None]:
        for state in (KeyState.RETIRING, KeyState.DESTROYED):
            keys.change(Operation("move", endless), moving(endless, state))
    with RunningDaemon(config, config.with_suffix(".log"), clock.environment) as daemon:
        (key,) = jwks(daemon)
        score = check_compared(ask(daemon, key, small["obama"], small["biden"]))
        clock.set(_YEAR_S)
        _check_without_key(daemon, key, small)
        assert _doctor(config, clock, "key_store")["seen"] == "sealed.jwe is on, and no key opens it"
        os.utime(load_config(config).keys.store / STORE_FILE)  # it is read again, and says the same
        _check_without_key(daemon, key, small)
        clock.set(0)
        assert check_compared(ask(daemon, key, small["obama"], small["biden"])) == score
        clock.set(_YEAR_S)
        another = make_key(KeyKind.X25519)
        keys.change(Operation("add", another.kid), adding(another, KeyState.ACTIVE, None))
        assert check_compared(ask(daemon, jwks(daemon)[0], small["obama"], small["biden"])) == score
        assert daemon.get("/readyz").status == 200


def _check_without_key(daemon: RunningDaemon, key: dict[str, str], small: dict[str, bytes]) -> None:
    check_refused(ask(daemon, key, small["obama"], small["biden"]), 5003, status=503)
    fault = [event for event in daemon.events if event["event"] == "fault"][-1]
    assert fault["remedy"] == "Run: fvctl keys add --activate"
    ready = daemon.get("/readyz")
    assert (ready.status, ready.json["reasons"]) == (503, ["no_key_opens"])
    assert jwks(daemon) == []


def _newest(config: Path) -> str:
    keys, _ = key_store(load_config(config))
    return keys.opened().file.keys[-1].kid


def test_rates_do_not_follow_the_clock(daemon: RunningDaemon, clock: Clock) -> None:
    codes = [daemon.verify({}).json["code"] for _ in range(12)]
    assert codes[:8] == [1200] * 8
    assert 1002 in codes
    clock.set(_YEAR_S)
    refused = next(answer for answer in (daemon.verify({}) for _ in range(3)) if answer.status == 429)
    assert int(refused.headers["retry-after"]) <= 10


def test_watchdog_and_deadlines_do_not_follow_the_clock(daemon: RunningDaemon, clock: Clock) -> None:
    worker = daemon.worker
    for off_s in (_YEAR_S, -_YEAR_S, 0):
        clock.set(off_s)
        time.sleep(2.5)  # gunicorn's master looks every second
        assert daemon.get("/readyz").status == 200
    assert daemon.worker == worker


def test_freshness_follows_the_clock_and_nothing_opens_twice_whatever_it_does(
    own: Site, clock: Clock, small: dict[str, bytes]
) -> None:
    config = own.write(sealed={"freshness": _FRESHNESS})
    with RunningDaemon(config, config.with_suffix(".log"), clock.environment) as daemon:
        seal = jwe_sealer(dict(jwks(daemon)[0]))
        names = ("first_encrypted_image", "second_encrypted_image")
        time.sleep(1.1)  # what is as old as the daemon could have been seen before it
        once, late = ({name: seal(small["obama"]) for name in names} for _ in range(2))
        score = check_compared(daemon.verify(once))
        clock.set(_YEAR_S)
        check_refused(daemon.verify(late), 1200, field="first_encrypted_image")
        clock.set(0)
        check_refused(daemon.verify(once), 1200, field="first_encrypted_image")
        time.sleep(1.1)
        assert check_compared(daemon.verify({name: seal(small["obama"]) for name in names})) == score


def test_a_clock_that_was_ahead_at_the_start_takes_the_device_out_until_it_is_restarted(
    own: Site, clock: Clock, small: dict[str, bytes]
) -> None:
    config = own.write(sealed={"freshness": _FRESHNESS})
    clock.set(3600)
    with RunningDaemon(config, config.with_suffix(".log"), clock.environment) as daemon:
        clock.set(0)
        ready = daemon.get("/readyz")
        assert (ready.status, ready.json["reasons"]) == (503, ["clock_set_back"])
        check_refused(ask(daemon, jwks(daemon)[0], small["obama"], small["biden"]), 5003, status=503)
        os.kill(daemon.worker, signal.SIGKILL)
        assert daemon.get("/readyz").status == 200
        time.sleep(1.1)  # what is as old as the worker could have been seen before it
        check_compared(ask(daemon, jwks(daemon)[0], small["obama"], small["biden"]))
