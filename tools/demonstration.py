"""What `tools/quickstart` does once its environment is there: from nothing to two answers, then it keeps serving.

Everything it makes is under `.state/`. Photos are sealed to a key of the device's own; the key that the vendor's manual
prints opens too, as terminals of that vendor use it: for trying things out only.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from daemon.app import load_networks
from daemon.config import CONFIG_VARIABLE, Config, Inference, load_config
from daemon.errors import DeviceError, EngineRefused
from daemon.sealed.keys import KeyKind, KeyState
from tools.asking import DIRECT, Daemon, sealed_form
from tools.console import COULD_NOT_RUN, NEEDS_DOING, OK, Parser, say, show
from tools.engines import build_engine
from tools.explanation import RECOMMENDED_THRESHOLD, explain
from tools.key_changes import new_record
from tools.key_making import make_key, published_key
from tools.keys import key_store
from tools.samples import sample_photos
from tools.sealing import jwe_sealer

_REPOSITORY = Path(__file__).resolve().parent.parent
_STATE = _REPOSITORY / ".state"
_CPU = Path("/proc/cpuinfo")
_READY_WITHIN_S = 60.0

_PAIRS = (("mated", "obama", "obama2"), ("non-mated", "obama", "biden"))
_NON_MATED_BELOW = 0.5
"""What the non-mated pair must stay below: the score that one stranger in a hundred reaches."""


def write_site(state: Path, port: int) -> Path:
    """Development keys and a configuration like the shipped one, for the CPU and loopback.

    Args:
        state: folder for both and for the engines.
        port: where the daemon will listen.

    Returns:
        The configuration file.
    """
    state.mkdir(parents=True, exist_ok=True)
    document = yaml.safe_load((_REPOSITORY / "systemd" / "faceverifyd.yaml").read_text("utf-8"))
    document["server"]["bind"] = [f"127.0.0.1:{port}"]
    document["environment"] = "development"
    document["keys"] |= {"store": str(state / "keys"), "kek": "file", "file": str(state / "keys" / "kek")}
    document["admission"]["running"] = len(os.sched_getaffinity(0))
    document["sealed"] |= {"legacy": True, "allow_published_key": True}
    networks, engines = str(_REPOSITORY / "trt_engines"), str(state / "engines")
    document["inference"] |= {"accelerator": "cpu", "networks": networks, "engines": engines}
    document["inference"]["recognition"] = recognition_for(_CPU.read_text("ascii", "replace"))
    path = state / "faceverifyd.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    ensure_keys(load_config(path))
    return path


def recognition_for(cpu: str) -> str:
    """The fastest recognition network that a CPU computes rightly.

    Args:
        cpu: what /proc/cpuinfo says; without products of 8 bits that are summed in 32, sums would overflow.

    Returns:
        The network's name.
    """
    return "sface_int8" if re.search(r"\b(avx512_vnni|avx_vnni|asimddp)\b", cpu) else "sface"


def ensure_keys(config: Config) -> None:
    """A key store with a first key and the published legacy key; made only where there is none.

    Raises:
        KeyRefused: it cannot be written.
    """
    store, keeper = key_store(config)
    if store.exists:
        return
    kek = keeper.first()
    keys = (make_key(KeyKind.ENROLMENT), make_key(KeyKind.X25519), published_key())
    store.create(tuple(new_record(kek, key, KeyState.ACTIVE) for key in keys), kek)


def ensure_engines(settings: Inference, cache: Path) -> None:
    """Engines that load; built only where they do not.

    Raises:
        DeviceError: a build failed.
    """
    try:
        load_networks(settings)
    except EngineRefused as missing:
        say(f"building engines: {missing.args[0]}")
        for name in (settings.detection, settings.recognition):
            build_engine(settings.networks / name, settings, cache)


@contextmanager
def serving(config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is ready, for the length of the block.

    Raises:
        EngineRefused: it did not become ready.
    """
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise EngineRefused(f"port {port} is taken", "Stop what listens there, or name another: --port N")
    command = [sys.executable, "-m", "gunicorn", "-c", "python:daemon.gunicorn_conf", "daemon.wsgi:application()"]
    environment = os.environ | {CONFIG_VARIABLE: str(config)}
    log = config.with_name("daemon.log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=_REPOSITORY, stdout=output, stderr=output)
    try:
        _wait_until_ready(process, port, log)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if _is_ready(port):
            return
        time.sleep(0.02)
    raise EngineRefused(f"the daemon did not become ready:\n{log.read_text('utf-8')}", f"Read {log}, printed above.")


def _is_ready(port: int) -> bool:
    try:
        with DIRECT.open(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:  # nothing listens yet; an HTTP error is one too
        return False


def demonstrate(port: int, photos: dict[str, bytes]) -> bool:
    """Verify a mated and a non-mated pair through HTTP, print the answers, and say whether they are right."""
    daemon, right = Daemon(f"http://127.0.0.1:{port}"), True
    seal = jwe_sealer(daemon.jwks()[0])
    for kind, first, second in _PAIRS:
        answer = daemon.ask(sealed_form(seal, (photos[first], photos[second])))
        show({"pair": f"{kind}: {first}.jpg, {second}.jpg", "answer": answer.body, "meaning": explain(answer)}, False)
        score = float(answer.body.get("verification_score", -1))
        right &= score > RECOMMENDED_THRESHOLD if kind == "mated" else 0 <= score < _NON_MATED_BELOW
    return right


def run(args: argparse.Namespace) -> int:
    """The whole demonstration."""
    config = write_site(_STATE, args.port)
    ensure_engines(load_config(config).inference, _STATE / "cache")
    photos = sample_photos(_STATE / "cache")
    say(f"starting the daemon on 127.0.0.1:{args.port}")
    with serving(config, args.port) as process:
        right = demonstrate(args.port, photos)
        if not args.once:
            say(f"serving; its journal is {config.with_name('daemon.log')}; stop with Ctrl-C")
            process.wait()
    return OK if right else NEEDS_DOING


def main() -> int:
    """Parse the command line and run; its exit code."""
    parser = Parser(prog="tools/quickstart", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the answers")
    parser.add_argument("--port", type=int, default=3000, help="where the daemon listens (default: 3000)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(parser.parse_args())
    except DeviceError as error:
        say(f"quickstart: {error}")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return OK


if __name__ == "__main__":
    sys.exit(main())
