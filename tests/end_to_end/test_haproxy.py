"""The shipped HAProxy files before two real devices: no terminal notices that one of them dies."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest

from daemon.api.health import JWKS_PATH
from daemon.api.verification import PATH
from tests.certificates import TlsSite, new_tls_site
from tests.conftest import REPOSITORY, Site, need
from tests.end_to_end.conftest import soon
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.photos import MAX_BYTES, plain
from tests.running_daemon import FORM, Answer, RunningDaemon, ask, free_port

Sealed = Callable[[bytes, bytes], dict[str, str]]

_PROGRAM = "haproxy"
_TIMES = 10
_TERMINALS = 4


@dataclass
class Branch:
    """Two devices, and a balancer before them."""

    devices: list[RunningDaemon]
    port: int
    tls: ssl.SSLContext

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.tls)
        try:
            return ask(connection, method, path, body, {"Content-Type": FORM})
        finally:
            connection.close()

    def verify(self, form: dict[str, str]) -> Answer:
        """POST a form to the verification endpoint."""
        return self.request("POST", PATH, urlencode(form).encode())


@pytest.fixture(scope="module")
def tls_site(tmp_path_factory: pytest.TempPathFactory) -> TlsSite:
    need(_PROGRAM, shutil.which(_PROGRAM) is not None)
    site = new_tls_site(tmp_path_factory.mktemp("branch"))
    (site.folder / "devices-ca.pem").write_bytes(site.authority.certificate_pem)
    (site.folder / "branch.pem").write_bytes(site.tls.certificate.read_bytes() + site.tls.key.read_bytes())
    return site


def _placed(name: str, site: TlsSite, port: int, devices: list[int]) -> Path:
    """A shipped file for this machine: nothing but addresses, names and folders is changed."""
    text = (REPOSITORY / "systemd" / name).read_text()
    text = text.replace("/etc/haproxy/", f"{site.folder}/").replace("bind :3000", f"bind 127.0.0.1:{port}")
    for number, device in enumerate(devices, 1):
        text = re.sub(rf"192\.0\.2\.1{number}:3000 verifyhost \S+", f"127.0.0.1:{device} verifyhost localhost", text)
    placed = site.folder / name
    placed.write_text(text)
    return placed


@contextmanager
def _balancer(file: Path, branch: Branch) -> Iterator[Branch]:
    with file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen([_PROGRAM, "-f", file], stderr=log, stdout=log)
    try:
        assert soon(lambda: _answers(branch)), file.with_suffix(".log").read_text()
        yield branch
    finally:
        process.terminate()
        process.wait(30)


def _answers(branch: Branch) -> bool:
    with suppress(OSError):
        return branch.request("GET", "/openapi.yaml").status in (200, 503)
    return False


def _kek(site: Site, name: str) -> Path:
    """A device's own key-encryption key."""
    return site.folder / f"{name}.kek"


@pytest.fixture(scope="module")
def devices(site: Site, tls_site: TlsSite) -> Iterator[list[RunningDaemon]]:
    with ExitStack() as stack:
        made = []
        for name in ("device-1", "device-2"):
            kek = _kek(site, name)
            shutil.copy(site.document["keys"]["file"], kek)
            config = site.write(f"{name}.yaml", server={"tls": tls_site.document}, keys={"file": str(kek)})
            daemon = RunningDaemon(config, site.folder / f"{name}.log", tls=tls_site.terminal())
            made.append(stack.enter_context(daemon))
        yield made


@pytest.fixture(scope="module")
def branch(tls_site: TlsSite, devices: list[RunningDaemon]) -> Iterator[Branch]:
    port = free_port()
    file = _placed("haproxy.cfg", tls_site, port, [device.port for device in devices])
    with _balancer(file, Branch(devices, port, tls_site.terminal())) as made:
        yield made


@pytest.fixture(scope="module")
def deserted(tls_site: TlsSite) -> Iterator[Branch]:
    """A branch in which no device runs."""
    port = free_port()
    file = _placed("haproxy.cfg", tls_site, port, [free_port(), free_port()])
    with _balancer(file.rename(file.with_name("deserted.cfg")), Branch([], port, tls_site.terminal())) as made:
        yield made


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


@pytest.mark.parametrize("name", ["haproxy.cfg", "haproxy-mutual-tls.cfg"])
def test_shipped_file_is_valid(tls_site: TlsSite, name: str) -> None:
    file = _placed(name, tls_site, free_port(), [])
    checked = subprocess.run([_PROGRAM, "-c", "-f", file], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def _kill_worker(device: RunningDaemon) -> None:
    os.kill(device.worker, signal.SIGKILL)


def _kill_master(device: RunningDaemon) -> None:
    worker = device.worker
    device.process.kill()
    device.process.wait()
    # As a service manager does: nothing is started before all of what was is gone.
    assert soon(lambda: not Path(f"/proc/{worker}").exists(), 10)
    device.__enter__()


def _stop(device: RunningDaemon) -> None:
    device.process.terminate()
    device.process.wait(60)
    device.__enter__()


_WAYS = (_kill_worker, _kill_master, _stop)


def _serves(device: RunningDaemon) -> bool:
    with suppress(OSError):
        return device.get("/readyz").status == 200
    return False


def test_no_request_fails_while_devices_die_and_come_back(branch: Branch, pair: dict[str, str]) -> None:
    score, over = check_compared(branch.verify(pair)), threading.Event()

    def told() -> float | str:
        try:
            return check_compared(branch.verify(pair))
        except (OSError, AssertionError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"

    def ask_on() -> list[float | str]:
        # Four times a second each: the test is of what is lost, and other tests need the cores too.
        return list(iter(lambda: "over" if over.wait(0.25) else told(), "over"))

    with ThreadPoolExecutor(_TERMINALS) as threads:
        asking = [threads.submit(ask_on) for _ in range(_TERMINALS)]
        try:
            for turn in range(_TIMES):
                device = branch.devices[turn % 2]
                _WAYS[turn % len(_WAYS)](device)
                assert soon(partial(_serves, device), 60)
                time.sleep(3)  # rise 2, inter 1s: by then the balancer asks it again
        finally:
            over.set()
    answers = [answer for terminal in asking for answer in terminal.result()]
    assert [answer for answer in answers if answer != score] == []
    assert len(answers) > _TIMES


def _ticks(process: int) -> int:
    """Processor time that a process has used. Source: proc(5), utime and stime."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_largest_request_is_repeated_on_another_device(branch: Branch, sealed: Sealed) -> None:
    assert soon(lambda: all(_serves(device) for device in branch.devices))
    photo = plain(5000, 5000)
    largest = sealed(photo + bytes(MAX_BYTES - len(photo)), photo + bytes(MAX_BYTES - len(photo)))
    before = {device.worker: _ticks(device.worker) for device in branch.devices}
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(branch.verify, largest)
        assert soon(lambda: any(_ticks(worker) > used + 20 for worker, used in before.items()))
        busiest = max(before, key=lambda worker: _ticks(worker) - before[worker])
        assert not asking.done()
        os.kill(busiest, signal.SIGKILL)
        check_refused(asking.result(), 4000, field="first_encrypted_image")
    assert soon(lambda: all(_serves(device) for device in branch.devices))


def test_a_device_that_is_not_ready_is_left_out_and_no_request_fails(
    branch: Branch, site: Site, pair: dict[str, str]
) -> None:
    assert soon(lambda: all(_serves(device) for device in branch.devices))
    time.sleep(3)  # rise 2, inter 1s: by then the balancer asks both
    kek = _kek(site, "device-2")
    kek.rename(kek.with_suffix(".away"))
    try:
        for _ in range(8):
            check_compared(branch.verify(pair))
        assert 5003 in [event.get("code") for event in branch.devices[1].events if event.get("route") == PATH]
    finally:
        kek.with_suffix(".away").rename(kek)
    assert soon(lambda: all(_serves(device) for device in branch.devices))


_MANAGEMENT = ("/healthz", "/readyz", "/metrics", "/status")


@pytest.mark.parametrize("path", [*_MANAGEMENT, "//metrics", "/%6detrics", "/metrics/", "/metrics?x", "//status", "/"])
def test_terminals_do_not_reach_what_is_for_management(branch: Branch, path: str) -> None:
    check_refused(branch.request("GET", path), 2000, status=404)


def test_terminals_reach_all_that_is_for_them(branch: Branch, pair: dict[str, str]) -> None:
    check_compared(branch.verify(pair))
    for path in ("/openapi.yaml", JWKS_PATH):
        assert branch.request("GET", path).status == 200


def test_branch_without_a_device_answers_in_the_words_of_the_contract(deserted: Branch, pair: dict[str, str]) -> None:
    check_refused(deserted.verify(pair), 5003, status=503)


def test_terminals_with_certificates_reach_devices_through_the_other_file(
    tls_site: TlsSite, devices: list[RunningDaemon], pair: dict[str, str]
) -> None:
    port = free_port()
    file = _placed("haproxy-mutual-tls.cfg", tls_site, port, [device.port for device in devices])
    with _balancer(file, Branch(devices, port, tls_site.terminal())) as passing:
        score = check_compared(passing.verify(pair))
        device = devices[0]
        _kill_worker(device)
        assert soon(lambda: _serves(device))
        assert check_compared(passing.verify(pair)) == score


def test_terminals_do_not_see_management_through_the_other_file_where_devices_do_not_name_the_balancer(
    site: Site, tls_site: TlsSite
) -> None:
    elsewhere = {"networks": ["192.0.2.0/24"], "support_key": None}
    config = site.write("elsewhere.yaml", server={"tls": tls_site.document}, management=elsewhere)
    log, port, tls = site.folder / "elsewhere.log", free_port(), tls_site.terminal()
    with RunningDaemon(config, log, ready_path="/openapi.yaml", tls=tls) as device:
        file = _placed("haproxy-mutual-tls.cfg", tls_site, port, [device.port, free_port()])
        file.write_text(file.read_text().replace("/readyz  ", "/openapi.yaml  "))
        with _balancer(file, Branch([device], port, tls)) as passing:
            time.sleep(3)  # fall 2, inter 1s: by then a device whose check fails is out
            for path in (*_MANAGEMENT, "//metrics"):
                check_refused(passing.request("GET", path), 2000, status=404)
