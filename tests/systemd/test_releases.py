"""A fleet's device: nothing but a Debian package at first, then one release after the other, and back by itself."""

from __future__ import annotations

import io
import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from daemon.api.health import JWKS_PATH
from tests.conftest import REPOSITORY, need
from tests.releases import Published, build, skip_elsewhere, variant
from tests.running_daemon import Answer
from tests.systemd.debian import debian_root
from tests.systemd.machine import Machine, Terminals, soon
from tools.asking import sealed_form
from tools.releases.bootstrap import build_bootstrap
from tools.releases.manifest import Proof
from tools.releases.state import BACKWARD, FORWARD, Step
from tools.sealing import jwe_sealer

A, B = "1.0.0", "2.0.0"
PROOF = Proof(ready_s=60.0, watched_s=2.0, comparison_ms=1500.0, commands=(("selftest",),))
_PORTRAITS = "        portraits, refused = self._portraits(request, watch)"
STICK = "/media/stick"
_STATE = "/var/lib/faceverifyd-release/state.json"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


@dataclass
class Device:
    """A device, and the repository that it is updated from by a web server."""

    machine: Machine
    published: Published
    release: Path
    built: Path

    def fvctl(self, *arguments: str) -> dict[str, object]:
        """What `fvctl release` answered."""
        printed = self.machine.run("fvctl", "release", *arguments, "--json")
        answered = json.loads(printed[printed.index("{") :])
        assert isinstance(answered, dict)
        return answered

    def refused(self, *arguments: str) -> str:
        """Why `fvctl release` refused."""
        printed = self.machine.run("sh", "-c", 'fvctl release "$@"; echo "ended with $?"', "sh", *arguments)
        assert printed.endswith("ended with 2\n"), printed
        return printed

    @property
    def serves(self) -> object:
        """The version that serves, by its own word."""
        return self.status()["serves"]

    def status(self) -> dict[str, object]:
        """What `fvctl release status` says."""
        printed = self.machine.run("fvctl", "release", "status", "--json", check=False)  # 1 where it was interrupted
        answered = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
        assert isinstance(answered, dict)
        return answered

    def publish(self, version: str, changes: dict[str, bytes], proof: Proof = PROOF) -> None:
        """Publish a release like this checkout's, changed."""
        self.published.publish(variant(self.release, self.built, version, changes, proof))

    def copy_to_stick(self) -> None:
        """The repository as it is, on a stick that is put into the device."""
        stick = self.machine.disk / STICK.lstrip("/")
        shutil.rmtree(stick, ignore_errors=True)
        shutil.copytree(self.published.folder, stick)


@pytest.fixture(scope="module")
def device(site: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A box with Debian and the package; its web server publishes A."""
    skip_elsewhere()
    for program in ("debootstrap", "systemd-nspawn", "dpkg-deb"):
        need(program, shutil.which(program) is not None)
    folder = tmp_path_factory.mktemp("fleet")
    release = build(folder / "built")
    published = Published(folder / "repository")
    (folder / "root.json").write_bytes(published.root)
    disk = folder / "disk"
    (disk / "root").mkdir(parents=True)
    disk.chmod(0o755)
    with Machine(folder, (disk, debian_root()), install=":") as machine, machine.network():
        served = partial(_Quiet, directory=str(published.folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), served)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        package = build_bootstrap(
            release, folder / "root.json", disk / "root", f"http://127.0.0.1:{server.server_port}"
        )
        shutil.copy(package, machine.disk / "root")
        device = Device(machine, published, release, folder)
        device.publish(A, {})
        machine.run("apt-get", "install", "-q", "-y", f"/root/{package.name}")
        yield device
        server.shutdown()
        server.server_close()
        serving.join()


@pytest.fixture(scope="module")
def installed(device: Device) -> Device:
    """The box after one `fvctl release install`."""
    assert device.fvctl("install")["serves"] == A
    return device


@pytest.fixture
def form(installed: Device, small: tuple[bytes, bytes]) -> dict[str, str]:
    """A mated pair as a terminal sends it."""
    return sealed_form(jwe_sealer(installed.machine.get(JWKS_PATH).json["keys"][0]), small)


def test_a_new_box_serves_after_one_package_and_one_command(installed: Device, form: dict[str, str]) -> None:
    answer = installed.machine.verify(form)
    assert answer.status == 200
    assert answer.json["verification_score"] > 0.9
    assert installed.serves == A


def _unhurried(machine: Machine, form: dict[str, str]) -> Answer:
    """Ask as often as the shipped limit of requests allows three terminals together."""
    time.sleep(0.4)
    return machine.verify(form)


def test_an_update_under_load_loses_no_request_and_gives_no_wrong_answer(
    installed: Device, form: dict[str, str]
) -> None:
    installed.publish(B, {})
    with Terminals(partial(_unhurried, installed.machine, form)) as terminals:
        assert installed.fvctl("install")["serves"] == B
    _all_well(terminals)


def _all_well(terminals: Terminals) -> None:
    assert terminals.failures == []
    assert set(terminals.statuses) <= {200, 503}
    scores = {answer.json["verification_score"] for answer in terminals.answers if answer.status == 200}
    assert len(scores) == 1  # one pair, and the same engines
    assert min(scores) > 0.9


def _changed(path: str, old: str, new: str) -> dict[str, bytes]:
    text = (REPOSITORY / path).read_text("utf-8")
    assert old in text
    return {path: text.replace(old, new).encode()}


def _other_golden(release: Path) -> dict[str, bytes]:
    """Golden vectors that no engine computes."""
    path, buffer = "golden/sface.npz", io.BytesIO()
    with np.load(release / path, allow_pickle=False) as golden:
        np.savez(buffer, input=golden["input"], **{name: -golden[name] for name in golden.files if name != "input"})
    return {path: buffer.getvalue()}


_FALLS = """        return create_app(load_config(config_path(os.environ)), journal)
"""
_AFTER_A_WHILE = """        import threading

        threading.Timer(4, os.kill, (os.getppid(), 9)).start()
"""

BROKEN: dict[str, Callable[[Path], dict[str, bytes]]] = {
    "slow": lambda _: _changed("daemon/pipeline.py", _PORTRAITS, f"        __import__('time').sleep(2)\n{_PORTRAITS}"),
    "crash": lambda _: {"daemon/wsgi.py": b"raise SystemExit(1)\n"},
    "falls over": lambda _: _changed("daemon/wsgi.py", _FALLS, _AFTER_A_WHILE + _FALLS),
    "bad engine": _other_golden,
    "wrong scores": lambda _: _changed("daemon/score/comparison.py", "max(-1.0, score)", "max(-1.0, -score)"),
    "failing selftest": lambda _: _changed("tools/selftest.py", "return exit_code(rows)", "return 1"),
}
"""What is wrong with a release, made from a sound one."""

SHORT = ("failing selftest",)
"""Those that are tried each time; the others with --all-releases."""

POWER_FAILS_AT = (Step.ENVIRONMENT, Step.SWITCH, Step.GATE)
"""Before the switch, in it, and after it."""


@pytest.mark.parametrize("what", sorted(BROKEN.keys() - {"bad engine"}))
def test_what_breaks_a_release_is_found_in_this_one(what: str) -> None:
    assert BROKEN[what](REPOSITORY)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_release_from_a_stick_goes_back_by_itself(
    installed: Device, form: dict[str, str], what: str, request: pytest.FixtureRequest
) -> None:
    if what not in SHORT and not request.config.getoption("--all-releases"):
        pytest.skip("takes half a minute: --all-releases")
    before, version = installed.serves, f"3.0.{list(BROKEN).index(what)}"
    installed.publish(version, BROKEN[what](installed.release))
    installed.copy_to_stick()
    printed = installed.refused("install", version, "--source", STICK)
    assert f"went back, {before} serves" in printed
    assert installed.serves == before
    assert installed.machine.verify(form).status == 200
    assert version in str(installed.status()["failed"])


@pytest.fixture
def moments(request: pytest.FixtureRequest) -> int:
    """How many random ones are asked for."""
    asked = request.config.getoption("--all-releases")
    if not asked:
        pytest.skip("takes minutes: --all-releases")
    return int(asked)


@pytest.mark.usefixtures("moments")
def test_a_technician_goes_back_and_updates_from_a_stick(installed: Device, form: dict[str, str]) -> None:
    assert installed.fvctl("rollback")["serves"] == A
    assert installed.machine.verify(form).status == 200
    installed.copy_to_stick()
    with Terminals(partial(_unhurried, installed.machine, form)) as terminals:
        assert installed.fvctl("install", B, "--source", STICK)["serves"] == B
    _all_well(terminals)


def test_killed_while_it_installs_a_device_serves_and_a_repeat_finishes(
    installed: Device, form: dict[str, str], moments: int
) -> None:
    draw = random.Random(8)  # noqa: S311 - the same moments each time
    for _ in range(moments):
        _kill_when(installed, form, f"sleep {draw.uniform(0.5, 40):.2f}")


@pytest.mark.parametrize("step", FORWARD, ids=lambda step: step.value)
@pytest.mark.usefixtures("moments")
def test_killed_at_any_step_a_device_serves_and_a_repeat_finishes(
    installed: Device, form: dict[str, str], step: Step
) -> None:
    installed.copy_to_stick()
    interrupted = _kill_when(installed, form, _comes_to(step))
    assert interrupted or step is Step.KEEP  # which is over in a moment


@pytest.mark.parametrize("step", BACKWARD, ids=lambda step: step.value)
@pytest.mark.usefixtures("moments")
def test_killed_on_its_way_back_a_device_serves_the_one_before(
    installed: Device, form: dict[str, str], step: Step
) -> None:
    before, version = installed.serves, f"3.1.{BACKWARD.index(step)}"
    installed.publish(version, BROKEN["crash"](installed.release), replace(PROOF, ready_s=10.0))
    installed.copy_to_stick()
    _install_until(installed, version, _comes_to(step))
    installed.machine.run("fvctl", "release", "resume", check=False)  # 2: it went back
    assert installed.serves == before
    assert installed.status()["operation"] is None
    assert version in str(installed.status()["failed"])
    assert installed.machine.verify(form).status == 200


@pytest.mark.parametrize("step", POWER_FAILS_AT, ids=lambda step: step.value)
@pytest.mark.usefixtures("moments")
def test_where_the_power_fails_the_next_boot_goes_on(installed: Device, form: dict[str, str], step: Step) -> None:
    wanted = f"2.1.{POWER_FAILS_AT.index(step)}"
    installed.publish(wanted, {})
    installed.copy_to_stick()
    command = ("fvctl", "release", "install", wanted, "--source", STICK)
    install = threading.Thread(target=partial(installed.machine.run, *command, check=False))
    install.start()
    state = installed.machine.disk / _STATE.lstrip("/")
    assert soon(lambda: f'"step": "{step.value}"' in state.read_text())
    installed.machine.cut_power()
    install.join()
    assert soon(lambda: installed.status()["operation"] is None, within_s=120)
    assert installed.serves == wanted, installed.machine.run("fvctl", "release", "history")
    assert installed.machine.verify(form).status == 200


def _kill_when(installed: Device, form: dict[str, str], until: str) -> bool:
    """Go from one release to the other, kill all of it once a command has ended, look, and go on.

    Returns:
        Whether there was something left to go on with.
    """
    before = installed.serves
    (wanted,) = {A, B} - {before}
    _install_until(installed, wanted, until)
    interrupted = installed.status()["operation"] is not None
    assert installed.serves in (A, B)
    assert installed.machine.verify(form).status == 200
    installed.machine.run("fvctl", "release", "install", wanted, "--source", STICK)
    assert installed.serves == wanted
    assert installed.machine.verify(form).status == 200
    return interrupted


def _install_until(installed: Device, wanted: str, until: str) -> None:
    """Install a release, and kill all of it once a command has ended."""
    script = f"setsid fvctl release install {wanted} --source {STICK} & {until}; kill -s KILL -- -$!; wait"
    installed.machine.run("sh", "-c", script, check=False)


def _comes_to(step: Step) -> str:
    """A command that ends where the installation beside it comes to a step, or has ended."""
    seen = f'grep -q \'"step": "{step.value}"\' {_STATE}'
    return f"until {seen} || ! kill -0 $!; do :; done"
