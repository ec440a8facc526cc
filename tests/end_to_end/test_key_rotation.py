"""Keys change under a daemon that serves: nobody is refused, and a destroyed key opens nothing at the next request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.api.health import JWKS_PATH
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import Site
from tests.end_to_end.contract import check_compared, check_refused
from tests.end_to_end.keys import ask, fvctl, jwks
from tests.end_to_end.photos import plain, scaled
from tests.running_daemon import Answer, RunningDaemon

_CLIENTS = 4
_FACE_PX = 64
_CONFIG = "faceverifyd.yaml"
_EACH = 4
"""Answers that every client gets between two steps of a rotation."""


@pytest.fixture
def site(site: Site, tmp_path: Path) -> Site:
    """A site with keys of its own, whose engines are the shared ones."""
    return Site(tmp_path, Path(site.document["inference"]["engines"]))


@pytest.fixture
def config(site: Site) -> Path:
    """Its configuration: JWE alone."""
    return site.write(_CONFIG, sealed={"legacy": False, "allow_published_key": False})


@pytest.fixture
def daemon(config: Path) -> Iterator[RunningDaemon]:
    """A daemon of its own."""
    with RunningDaemon(config, config.with_suffix(".log")) as running:
        yield running


@pytest.fixture(scope="module")
def faceless() -> bytes:
    """A photo without a face: the answer 4000 says that it was opened and decoded."""
    return plain(_FACE_PX, _FACE_PX)


class Clients:
    """Terminals that ask all the time, each with the newest key that it fetched."""

    def __init__(self, daemon: RunningDaemon, photo: bytes) -> None:
        self._daemon, self._photo = daemon, photo
        self._key = jwks(daemon)[0]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(_CLIENTS)]
        self.codes: list[list[tuple[str, int]]] = [[] for _ in range(_CLIENTS)]
        self.faults: list[BaseException] = []

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def fetch(self) -> None:
        """Take the newest public key, as terminals do now and then."""
        self._key = jwks(self._daemon)[0]

    def go_on(self) -> None:
        """Wait until every client got more answers to requests that began after now."""
        wanted = [len(codes) + _EACH for codes in self.codes]
        while not all(len(codes) >= want for codes, want in zip(self.codes, wanted, strict=True)):
            assert not self.faults
            self._ended.wait(0.01)

    def _run(self, number: int) -> None:
        try:
            while not self._ended.is_set():
                key = self._key
                answer = ask(self._daemon, key, self._photo, self._photo)
                self.codes[number].append((key["kid"], int(answer.json["code"])))
        except Exception as fault:  # noqa: BLE001 - told by the thread that waits
            self.faults.append(fault)


def test_nobody_is_refused_while_all_keys_are_rotated(daemon: RunningDaemon, config: Path, faceless: bytes) -> None:
    old = jwks(daemon)[0]
    with Clients(daemon, faceless) as clients:
        clients.go_on()
        new = fvctl(config, "add")["kid"]
        fvctl(config, "activate", new)
        clients.fetch()
        clients.go_on()
        fvctl(config, "retire", old["kid"])
        clients.go_on()
        fvctl(config, "rotate-kek")
        clients.go_on()
        fvctl(config, "destroy", old["kid"])
        clients.go_on()
    answered = [pair for codes in clients.codes for pair in codes]
    assert {code for _, code in answered} == {4000}
    assert {kid for kid, _ in answered} == {old["kid"], new}
    check_refused(ask(daemon, old, faceless, faceless), 1200, field="first_encrypted_image")


def test_a_kek_that_is_rotated_again_and_again_is_never_missed(
    daemon: RunningDaemon, config: Path, faceless: bytes
) -> None:
    with Clients(daemon, faceless) as clients:
        for _ in range(8):
            fvctl(config, "rotate-kek")
        clients.go_on()
    assert {code for codes in clients.codes for _, code in codes} == {4000}
    assert not [event for event in daemon.events if event.get("error") == "KeyRefused"]


def test_every_step_counts_at_the_very_next_request(
    daemon: RunningDaemon, config: Path, faceless: bytes, samples: dict[str, bytes]
) -> None:
    photos = [scaled(samples[name], 128) for name in ("obama", "obama2")]
    kid = fvctl(config, "add")["kid"]
    assert kid not in [jwk["kid"] for jwk in jwks(daemon)]
    fvctl(config, "activate", kid)
    key = jwks(daemon)[0]
    assert key["kid"] == kid
    check_compared(ask(daemon, key, *photos))
    fvctl(config, "retire", kid)
    assert kid not in [jwk["kid"] for jwk in jwks(daemon)]
    assert ask(daemon, key, faceless, faceless).json["code"] == 4000
    fvctl(config, "destroy", kid)
    check_refused(ask(daemon, key, faceless, faceless), 1200, field="first_encrypted_image")


def test_a_staged_key_opens_nothing(daemon: RunningDaemon, config: Path, faceless: bytes) -> None:
    kid = fvctl(config, "add", "--activate")["kid"]
    key = jwks(daemon)[0]
    store = config.parent / "keys" / STORE_FILE
    assert key["kid"] == kid
    fvctl(config, "destroy", kid, "--compromised")
    staged = fvctl(config, "add")["kid"]
    assert f'"{staged}"' in store.read_text()
    check_refused(ask(daemon, {**key, "kid": staged}, faceless, faceless), 1200, field="first_encrypted_image")


def test_a_photo_sealed_to_the_enrolment_key_is_refused(daemon: RunningDaemon, config: Path, faceless: bytes) -> None:
    enrolment = fvctl(config, "export-jwks", "--enrolment")["keys"][0]
    assert enrolment["kid"] not in [jwk["kid"] for jwk in jwks(daemon)]
    check_refused(ask(daemon, enrolment, faceless, faceless), 1200, field="first_encrypted_image")


def _cut(store: Path, _kek: Path) -> None:
    store.write_bytes(store.read_bytes()[:-20])


def _open_to_others(store: Path, _kek: Path) -> None:
    store.chmod(0o640)


def _gone(store: Path, _kek: Path) -> None:
    store.unlink()


def _changed(store: Path, _kek: Path) -> None:
    store.write_text(store.read_text().replace('"active"', '"retiring"', 1))


def _another_kek(_store: Path, kek: Path) -> None:
    kek.write_bytes(bytes(32))


def _no_kek(_store: Path, kek: Path) -> None:
    kek.unlink()


def _answers(daemon: RunningDaemon, key: dict[str, str], photo: bytes) -> tuple[Answer, Answer]:
    return ask(daemon, key, photo, photo), daemon.get("/readyz")


@pytest.mark.parametrize("harm", [_cut, _open_to_others, _gone, _changed, _another_kek, _no_kek])
def test_harmed_keys_stop_the_service_and_repaired_ones_bring_it_back(
    daemon: RunningDaemon, config: Path, faceless: bytes, harm: Callable[[Path, Path], None]
) -> None:
    store, kek, key = config.parent / "keys" / STORE_FILE, config.parent / "kek", jwks(daemon)[0]
    kept = [(path, path.read_bytes()) for path in (store, kek)]
    harm(store, kek)
    refused, ready = _answers(daemon, key, faceless)
    check_refused(refused, 5003, status=503)
    assert (ready.status, ready.json["reasons"]) == (503, ["keys_unreadable"])
    check_refused(daemon.get(JWKS_PATH), 5003, status=503)
    assert daemon.get("/healthz").status == 200
    for path, content in kept:
        path.write_bytes(content)
        path.chmod(0o600)
    served, ready = _answers(daemon, key, faceless)
    assert (served.json["code"], ready.status) == (4000, 200)
