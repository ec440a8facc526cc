"""After many requests, the worker's memory holds no photo, no key-encryption key, and no key that was destroyed.

`pytest tests/end_to_end/test_memory.py --memory-requests 1000` asks a thousand times.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon.config import load_config
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import REPOSITORY, Site, need
from tests.end_to_end.contract import FIRST, SECOND
from tests.end_to_end.keys import ask, fvctl, jwks
from tests.end_to_end.memory import MarkedPhotos, times_found
from tests.end_to_end.photos import scaled
from tests.running_daemon import RunningDaemon
from tools.benchmark.processes import tree
from tools.keys import key_store
from tools.sealing import Sealer, jwe_sealer

_THREADS = 4
_FACE_PX = 96
_FILLER_BYTES = (4 << 10, 20 << 10, 200 << 10, 600 << 10)
"""Below and above 64 KiB: what the decoder reads at once."""

_RUN_BYTES = 4 << 10
"""As much of a photo as may not be found; less than one page of memory."""


@pytest.fixture(scope="module")
def config(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with keys of its own, and a second key that photos are sealed to."""
    need("a test's right to read a process's memory", os.geteuid() == 0)
    made = Site(tmp_path_factory.mktemp("memory"), Path(site.document["inference"]["engines"]))
    path = made.write("faceverifyd.yaml")
    fvctl(path, "add", "--activate")
    return path


@pytest.fixture(scope="module")
def daemon(config: Path) -> Iterator[RunningDaemon]:
    """A daemon of its own."""
    with RunningDaemon(config, config.with_suffix(".log")) as running:
        yield running


@pytest.fixture(scope="module")
def photos(samples: dict[str, bytes]) -> MarkedPhotos:
    """Photos that are recognised by any kilobyte of them."""
    return MarkedPhotos(scaled(samples["obama"], _FACE_PX))


@pytest.fixture(scope="module")
def asked(
    daemon: RunningDaemon, photos: MarkedPhotos, legacy: LegacyFormat, pytestconfig: pytest.Config
) -> RunningDaemon:
    """The daemon after many requests, every photo another one, in both formats and all sizes."""
    sealers: tuple[Sealer, ...] = (jwe_sealer(jwks(daemon)[0]), legacy.seal)

    def compare(kind: tuple[int, Sealer]) -> int:
        size, seal = kind
        return int(daemon.verify({FIRST: seal(photos.make(size)), SECOND: seal(photos.make(size))}).json["code"])

    kinds = list(islice(cycle(product(_FILLER_BYTES, sealers)), pytestconfig.getoption("memory_requests")))
    with ThreadPoolExecutor(_THREADS) as threads:
        assert set(threads.map(compare, kinds)) == {1000}
    return daemon


def test_no_run_of_a_photo_is_left_in_memory(asked: RunningDaemon, photos: MarkedPhotos) -> None:
    runs = [run for run in photos.runs_in(asked.worker) if run[0] >= _RUN_BYTES]
    assert runs == [], f"{len(runs)} runs, {sum(whole == length for length, whole in runs)} of them whole photos"


def test_no_run_of_a_photo_is_left_in_the_memory_of_decoders(asked: RunningDaemon, photos: MarkedPhotos) -> None:
    template, *helpers = tree(asked.worker)[1:]
    assert len(helpers) > 0
    runs = [run for process in (template, *helpers) for run in photos.runs_in(process) if run[0] >= _RUN_BYTES]
    assert runs == []


def test_a_photo_that_is_in_memory_would_be_found(samples: dict[str, bytes]) -> None:
    photos = MarkedPhotos(scaled(samples["obama"], _FACE_PX))
    photo = photos.make(20 << 10)
    assert (len(photo), len(photo)) in photos.runs_in(os.getpid())


def _raw(config: Path, kinds: tuple[KeyKind, ...], states: tuple[KeyState, ...]) -> dict[str, bytes]:
    store, _ = key_store(load_config(config))
    secrets = {key.kid: key.secret for record, key in store.opened().opened(states, kinds)}
    return {
        kid: secret.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        for kid, secret in secrets.items()
        if isinstance(secret, x25519.X25519PrivateKey)
    }


def test_a_key_that_opens_photos_is_found_once_and_the_enrolment_key_not_at_all(
    asked: RunningDaemon, config: Path
) -> None:
    opening, enrolment = (_raw(config, (kind,), (KeyState.ACTIVE,)) for kind in (KeyKind.X25519, KeyKind.ENROLMENT))
    assert [times_found(asked.worker, secret) for secret in opening.values()] == [1, 1]
    assert [times_found(asked.worker, secret) for secret in enrolment.values()] == [0]


def test_the_key_encryption_key_is_not_left_in_memory(asked: RunningDaemon, config: Path) -> None:
    kek = load_config(config).keys.file
    assert kek is not None
    old = kek.read_bytes()
    fvctl(config, "rotate-kek")
    assert asked.get("/readyz").status == 200  # the store is read again
    assert [times_found(asked.worker, key) for key in (old, kek.read_bytes())] == [0, 0]


def test_a_destroyed_key_is_gone_from_memory_at_the_next_question(
    asked: RunningDaemon, config: Path, samples: dict[str, bytes]
) -> None:
    jwk = jwks(asked)[0]
    secret = _raw(config, (KeyKind.X25519,), (KeyState.ACTIVE,))[jwk["kid"]]
    assert times_found(asked.worker, secret) == 1
    fvctl(config, "destroy", jwk["kid"], "--compromised")
    photo = scaled(samples["obama"], _FACE_PX)
    assert ask(asked, jwk, photo, photo).json["code"] == 1200
    assert times_found(asked.worker, secret) == 0


_HOOK = """
import ctypes, os, types
from daemon.gunicorn_conf import post_fork
before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
post_fork(None, types.SimpleNamespace(log=types.SimpleNamespace(error_log=types.SimpleNamespace(handlers=[]))))
print(before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
"""What gunicorn calls in a new worker; 3 is PR_GET_DUMPABLE of prctl(2). That the worker calls it, its limit shows."""


def test_a_worker_is_no_longer_dumpable_once_it_is_forked(config: Path) -> None:
    environment = os.environ | {"FACEVERIFYD_CONFIG": str(config)}
    done = subprocess.run(
        [sys.executable, "-c", _HOOK], env=environment, cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "0"]
