"""A service manager hears that the daemon is ready, alive and stopping, when it is and not before."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from daemon.api.verification import PATH
from daemon.sealed.keystore import STORE_FILE
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site
from tests.end_to_end.conftest import soon
from tests.end_to_end.contract import FIRST, SECOND, check_refused
from tests.running_daemon import FORM, RunningDaemon, ask
from tools.benchmark.processes import tree

LOADING, SERVING = "STATUS=loading keys and engines", "STATUS=serving: keys opened, engines proven"


class Manager:
    """A socket like systemd's, and all that was told to it."""

    def __init__(self, address: Path) -> None:
        self.told: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            for line in self._socket.recv(4096).decode().splitlines():
                self.told.append((time.monotonic(), line))

    def when(self, line: str) -> list[float]:
        """At which times this was told."""
        return [at for at, told in self.told if told == line]


def _made(site: Site, name: str, **changes: object) -> tuple[Manager, RunningDaemon]:
    manager = Manager(site.folder / f"{name}.notify")
    environment = {"NOTIFY_SOCKET": str(site.folder / f"{name}.notify")}
    return manager, RunningDaemon(site.write(f"{name}.yaml", **changes), site.folder / f"{name}.log", environment)


@contextmanager
def _managed(site: Site, name: str, **changes: object) -> Iterator[tuple[Manager, RunningDaemon]]:
    manager, daemon = _made(site, name, **changes)
    with daemon as running:
        yield manager, running


def test_ready_is_told_once_by_the_worker_and_then_the_daemon_answers(site: Site) -> None:
    with _managed(site, "managed") as (manager, running):
        assert running.get("/readyz").status == 200
        assert soon(lambda: len(manager.when("WATCHDOG=1")) >= 2)
        assert len(manager.when("READY=1")) == 1
        statuses = [line for _, line in manager.told if line.startswith("STATUS=")]
        assert statuses == [LOADING, SERVING]
        assert f"MAINPID={running.process.pid}" in [line for _, line in manager.told]


def test_a_daemon_that_refuses_to_start_never_says_that_it_is_ready(site: Site) -> None:
    manager = Manager(site.folder / "never.notify")
    config = site.write("never.yaml", inference={"engines": str(site.folder / "none")})
    environment = {"NOTIFY_SOCKET": str(site.folder / "never.notify")}
    # The unit does not start it again on status 4.
    with (
        pytest.raises(RuntimeError, match="gunicorn ended with 4"),
        RunningDaemon(config, site.folder / "never.log", environment),
    ):
        pass
    assert manager.when("READY=1") == []
    assert soon(lambda: manager.when("STATUS=refuses to serve: the journal says why, and what to do"))


def test_a_hung_request_silences_the_watchdog(
    tmp_path: Path, site: Site, engines: Path, legacy: LegacyFormat, samples: dict[str, bytes]
) -> None:
    assert site.folder.is_dir()  # the engines are built
    own = Site(tmp_path, engines)
    kek = Path(own.document["keys"]["file"])
    with _managed(own, "hung", health={"stuck_s": 1.0, "idle_test_s": 60.0}) as (manager, running):
        assert soon(lambda: manager.when("WATCHDOG=1"))
        content = kek.read_bytes()
        kek.unlink()
        os.mkfifo(kek, 0o600)  # whoever reads it waits until somebody writes
        os.utime(Path(own.document["keys"]["store"]) / STORE_FILE)
        form = {FIRST: legacy.seal(samples["obama"]), SECOND: legacy.seal(samples["obama2"])}
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(running.verify(form).status))
        asking.start()
        hangs_since = time.monotonic() + 2.5
        time.sleep(5)
        assert [at for at in manager.when("WATCHDOG=1") if at > hangs_since] == []
        assert len(manager.when("STATUS=hung: no progress within health.stuck_s")) == 1
        assert [event["event"] for event in running.events if event["event"] != "answer"][-1] == "hung"
        kek.write_bytes(content)  # lets go of whom it held
        kek.unlink()
        kek.write_bytes(content)
        kek.chmod(0o600)
        os.utime(Path(own.document["keys"]["store"]) / STORE_FILE)
        let_go = time.monotonic()
        assert soon(lambda: [at for at in manager.when("WATCHDOG=1") if at > let_go])
        asking.join(30)
        assert soon(lambda: manager.when(SERVING)[-1] > let_go)


def test_a_stop_answers_what_has_begun_and_refuses_what_is_new(
    site: Site, legacy: LegacyFormat, samples: dict[str, bytes]
) -> None:
    form = {FIRST: legacy.seal(samples["obama"]), SECOND: legacy.seal(samples["obama2"])}
    with _managed(site, "stopping") as (manager, running):
        answers: list[int] = []

        def send() -> None:
            with suppress(OSError):  # not taken yet when the stop came: without a socket unit it is refused
                while answers.count(503) == 0:
                    answers.append(running.verify(form).status)

        asking = [threading.Thread(target=send) for _ in range(6)]
        for thread in asking:
            thread.start()
        assert soon(lambda: len(answers) >= len(asking))  # all of them are asking
        before = len(answers)
        running.process.terminate()
        for thread in asking:
            thread.join(30)
        assert running.process.wait(30) == 0
    assert set(answers) <= {200, 503}
    assert 200 in answers[before:]
    assert len(manager.when("STOPPING=1")) == 1


def test_who_asks_a_stopping_daemon_on_a_connection_that_is_open_hears_that_it_is_not_ready(site: Site) -> None:
    with _managed(site, "draining") as (manager, running):
        balancer, till = running.connect(), running.connect()
        with closing(balancer), closing(till):
            assert [ask(each, "GET", "/readyz").status for each in (balancer, till)] == [200, 200]
            running.process.terminate()
            assert soon(lambda: manager.when("STOPPING=1"))
            ready = ask(balancer, "GET", "/readyz")
            check_refused(ask(till, "POST", PATH, b"", {"Content-Type": FORM}), 5003, status=503)
    assert (ready.status, ready.json["reasons"]) == (503, ["stopping"])


@pytest.fixture(scope="module")
def loading_s(site: Site) -> float:
    """How long a daemon loads here."""
    with _managed(site, "loading") as (manager, _):
        return manager.when("READY=1")[0] - manager.when(LOADING)[0]


@contextmanager
def _begun(site: Site, name: str) -> Iterator[tuple[Manager, RunningDaemon]]:
    """A daemon that begins, and is gone in the end; no fault may have been journaled, neither ours nor gunicorn's."""
    manager, daemon = _made(site, name)
    daemon.begin()
    try:
        yield manager, daemon
        assert "Traceback" not in daemon.log.read_text()
        assert "[ERROR]" not in daemon.log.read_text()
        assert [event for event in daemon.events if event["level"] == "error"] == []
    finally:
        daemon.process.kill()
        daemon.process.wait()


def _told_of_the_stop(manager: Manager) -> bool:
    """Whether the service manager knows of the stop, unless loading was over sooner than the last time."""
    return soon(lambda: manager.when("READY=1") or manager.told[-1][1] == "STATUS=stopping: had not loaded yet")


def test_a_stop_before_it_loads_is_no_failure(site: Site) -> None:
    with _begun(site, "stopped") as (_, daemon):
        while not tree(daemon.process.pid)[1:]:
            pass
        daemon.process.terminate()
        assert daemon.process.wait(20) == 0  # server.grace_s, 30, is what a worker gets that has not heard of it


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_loads_is_no_failure(site: Site, loading_s: float, moment: int, number: signal.Signals) -> None:
    with _begun(site, f"stopped-{number}-{moment}") as (manager, daemon):
        assert soon(lambda: manager.when(LOADING))
        time.sleep(loading_s * moment / 4)
        daemon.process.send_signal(number)
        assert daemon.process.wait(60) == 0
        assert _told_of_the_stop(manager)


def test_a_worker_that_loads_for_longer_than_a_hung_one_may_stand_still_is_let_be(tmp_path: Path, site: Site) -> None:
    own = Site(tmp_path, Path(site.document["inference"]["engines"]))
    config = own.write("slow.yaml")
    kek = Path(own.document["keys"]["file"])
    content = kek.read_bytes()
    kek.unlink()
    os.mkfifo(kek, 0o600)  # whoever reads it waits until somebody writes
    daemon = RunningDaemon(config, tmp_path / "slow.log", {"GUNICORN_CMD_ARGS": "--timeout 2"})
    daemon.begin()
    try:
        assert soon(lambda: tree(daemon.process.pid)[1:])
        worker = daemon.worker
        time.sleep(6)
        kek.write_bytes(content)
        kek.unlink()
        kek.write_bytes(content)
        kek.chmod(0o600)
        assert soon(lambda: _is_ready(daemon))
        assert daemon.worker == worker
    finally:
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0


def _is_ready(daemon: RunningDaemon) -> bool:
    with suppress(OSError):
        return daemon.get("/readyz").status == 200
    return False


def test_a_master_that_is_killed_while_it_loads_takes_the_worker_along(site: Site, loading_s: float) -> None:
    with _begun(site, "orphaned") as (manager, daemon):
        assert soon(lambda: manager.when(LOADING))
        worker = daemon.worker
        time.sleep(loading_s / 2)
        daemon.process.kill()
        daemon.process.wait()
        assert soon(lambda: not Path(f"/proc/{worker}").exists())
        assert _told_of_the_stop(manager)
