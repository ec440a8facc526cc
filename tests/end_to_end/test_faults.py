"""A device that is broken while it serves: what terminals see, what doctor says, and that it comes back."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from daemon.inference.engine import GOLDEN_FILE, MODEL_FILE
from tests.certificates import NOW, TlsSite, new_authority
from tests.conftest import REPOSITORY, Site
from tests.end_to_end.conftest import Start, soon
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.faults import address_space_bytes, doctor, limited, serves
from tests.running_daemon import RunningDaemon
from tools.cli import main

Sealed = Callable[[bytes, bytes], dict[str, str]]

_KILLED_AFTER_S = 45
"""gunicorn takes a worker that has been silent for 30 s for dead. Source: its setting `timeout`."""


@pytest.fixture(scope="module")
def pair(sealed: Sealed, small: dict[str, bytes]) -> dict[str, str]:
    return sealed(small["obama"], small["biden"])


@pytest.fixture(scope="module")
def broken(start: Start) -> RunningDaemon:
    """A daemon whose worker and limits tests may harm."""
    return start("broken")


@pytest.fixture(scope="module")
def score(broken: RunningDaemon, pair: dict[str, str]) -> float:
    return check_compared(broken.verify(pair))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_worker_that_dies_is_replaced_and_scores_as_before(
    broken: RunningDaemon, site: Site, pair: dict[str, str], score: float, end: signal.Signals
) -> None:
    dead = broken.worker
    os.kill(dead, end)
    assert check_compared(broken.verify(pair)) == score  # it waited in the port's queue
    assert broken.worker != dead
    assert doctor(site.folder / "broken.yaml", "daemon")[0] == 0


def test_worker_that_stands_still_is_replaced(broken: RunningDaemon, pair: dict[str, str], score: float) -> None:
    still = broken.worker
    os.kill(still, signal.SIGSTOP)
    assert soon(lambda: not Path(f"/proc/{still}").exists(), _KILLED_AFTER_S)
    assert check_compared(broken.verify(pair)) == score


def test_without_memory_no_answer_is_wrong_and_with_it_all_are_right(
    broken: RunningDaemon, pair: dict[str, str], score: float
) -> None:
    def told(_number: int) -> tuple[int, float | None] | None:
        try:
            answer = broken.verify(pair)
        except OSError:
            return None
        return answer.json["code"], answer.json.get("verification_score")

    assert check_compared(broken.verify(pair)) == score
    with (
        limited(broken.worker, resource.RLIMIT_AS, address_space_bytes(broken.worker)),
        ThreadPoolExecutor(4) as threads,
    ):
        answers = set(threads.map(told, range(24)))
    assert answers <= {(1000, score), (5000, None), None}
    assert soon(lambda: serves(broken))
    assert check_compared(broken.verify(pair)) == score


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MiB in memory."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _fill(folder: Path) -> None:
    with (folder / "rubbish").open("wb", buffering=0) as rubbish, suppress(OSError):
        while True:
            rubbish.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0


def test_full_and_then_read_only_disk_keeps_nobody_from_being_served(
    tmp_path: Path, engines: Path, pair: dict[str, str], score: float
) -> None:
    with _small_disk(tmp_path / "disk") as disk:
        own = Site(disk, engines)
        config = own.write()
        with RunningDaemon(config, disk / "daemon.log") as daemon:  # its log is on the disk too
            _fill(disk)
            for _ in range(50):  # the last page of the log takes a few lines more
                assert check_compared(daemon.verify(pair)) == score
                check_refused(daemon.verify({}), 1200, field="first_encrypted_image")
            assert b'faceverifyd_warning{warning="journal_loses_lines"} 1.0' in daemon.get("/metrics").body
            code, row = doctor(config, "disk_space")
            assert (code, row["status"]) == (1, "needs_doing")
            assert "is full" in row["seen"]
            assert main(["keys", "add", "--kind", "x25519", "--config", str(config)]) != 0
            assert check_compared(daemon.verify(pair)) == score  # the key store is as it was
            (disk / "rubbish").unlink()
            check_refused(daemon.verify({}), 1200, field="first_encrypted_image")
            assert json.loads(daemon.log.read_text().splitlines()[-1])["code"] == 1200, (
                "lines are kept again, and whole"
            )
            subprocess.run(["mount", "--bind", disk, disk], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
            try:
                assert check_compared(daemon.verify(pair)) == score
                assert "read-only" in doctor(config, "disk_space")[1]["seen"]
                assert main(["keys", "add", "--kind", "x25519", "--config", str(config)]) != 0
            finally:
                subprocess.run(["umount", "-l", disk], check=True)
            assert doctor(config, "key_store")[0] == 0
            assert check_compared(daemon.verify(pair)) == score


def test_engine_and_calibration_that_are_damaged_while_they_serve_harm_only_the_next_start(
    tmp_path: Path, site: Site, engines: Path, pair: dict[str, str], score: float
) -> None:
    shutil.copytree(engines, tmp_path / "engines")
    shutil.copytree(REPOSITORY / "trt_engines", tmp_path / "networks")
    folders = {"engines": str(tmp_path / "engines"), "networks": str(tmp_path / "networks")}
    config = site.write("damaged.yaml", inference=folders, health={"idle_test_s": 0.5})
    model, calibration = tmp_path / "engines/sface" / MODEL_FILE, tmp_path / "networks/sface/calibration.yaml"
    with RunningDaemon(config, tmp_path / "damaged.log") as daemon:
        assert doctor(config, "calibration")[0] == 0
        calibration.write_text(yaml.safe_dump(yaml.safe_load(calibration.read_text()) | {"recognition": "0" * 64}))
        assert "another recognition network" in doctor(config, "calibration")[1]["seen"]
        content = bytearray(model.read_bytes())
        content[len(content) // 2] ^= 1
        model.write_bytes(content)
        assert "is damaged" in doctor(config, "engines")[1]["seen"]
        (tmp_path / "engines/yunet" / GOLDEN_FILE).unlink()
        time.sleep(3)  # more than the time after which an idle device proves itself
        assert serves(daemon)
        assert check_compared(daemon.verify(pair)) == score
        os.kill(daemon.worker, signal.SIGKILL)
        assert daemon.process.wait(60) == 4, (
            "the next worker refuses to serve, and the service manager leaves it at that"
        )
    assert daemon.events[-1]["event"] == "start_refused"
    assert daemon.events[-1]["remedy"]


def test_expired_certificate_serves_and_doctor_says_so(
    tmp_path: Path, site: Site, start: Start, pair: dict[str, str], score: float
) -> None:
    long_ago = NOW - timedelta(days=2000)
    tls = TlsSite(tmp_path, new_authority(long_ago))
    tls.write(tls.authority.for_server(["localhost", "127.0.0.1"], long_ago))
    careless = tls.terminal()
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    daemon = start("expired", tls=careless, server={"tls": tls.document})
    assert check_compared(daemon.verify(pair)) == score
    with pytest.raises(OSError, match="expired"):
        daemon.seen_by(tls.terminal()).verify(pair)
    code, row = doctor(site.folder / "expired.yaml", "certificate")
    assert (code, row["evidence"]["warnings"]) == (1, ["server_certificate_expired"])


def _hang_up_on_all(other: socket.socket) -> None:
    with suppress(OSError):
        while True:
            other.accept()[0].close()


def test_daemon_whose_port_is_taken_says_so_and_ends(site: Site) -> None:
    config = site.write("taken.yaml")
    daemon = RunningDaemon(config, site.folder / "taken.log", ready_path="/nowhere")
    with socket.create_server(("127.0.0.1", daemon.port)) as other:
        threading.Thread(target=_hang_up_on_all, args=(other,), daemon=True).start()
        with pytest.raises(RuntimeError, match="gunicorn ended with 1"), daemon:
            pass
        code, row = doctor(config, "port")
        other.shutdown(socket.SHUT_RDWR)
    assert (code, row["status"]) == (1, "needs_doing"), row
    assert "fvctl doctor --only port" in daemon.events[0]["remedy"]
