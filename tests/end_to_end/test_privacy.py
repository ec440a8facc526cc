"""A thousand requests with canaries in them leave none behind: not in the log, not in a file, not in a core dump."""

from __future__ import annotations

import base64
import json
import os
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import pytest
from PIL import Image

from daemon.api.verification import PATH
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import Site, need
from tests.end_to_end.contract import FIRST, SECOND
from tests.end_to_end.photos import encoded, opened, plain
from tests.end_to_end.traces import Traces, files_below, files_open_in
from tests.running_daemon import RunningDaemon

_REQUESTS = 1000
_THREADS = 8
_CROPPED_PX = 96
_EXIF_COMMENT = 0x9286
"""UserComment. Source: Exif 2.32, table 8."""

_CANARY = "canary-%s-5b1e07c4"
_HEADERS = ("Authorization", "User-Agent", "Cookie", "X-Request-Id", "X-Forwarded-For", "Referer")
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Planted:
    """What is sent: photos and texts, each with a canary of its own in it."""

    legacy: LegacyFormat
    photos: dict[str, bytes]

    def text(self, place: str) -> str:
        """The canary of a place."""
        return _CANARY % place

    def pair(self, first: str, second: str) -> bytes:
        """Two photos as a JSON body."""
        sealed = {FIRST: self.legacy.seal(self.photos[first]), SECOND: self.legacy.seal(self.photos[second])}
        return json.dumps(sealed | {self.text("name"): self.text("value")}).encode()


Send = Callable[[RunningDaemon, Planted], int]
"""One kind of request; the code of its answer."""


def _post(daemon: RunningDaemon, body: bytes, headers: dict[str, str], path: str = PATH) -> int:
    return int(daemon.request("POST", path, body, headers).json["code"])


def _malformed(daemon: RunningDaemon, request: str) -> int:
    return int(json.loads(daemon.raw(request.encode()).partition(b"\r\n\r\n")[2])["code"])


def _pair(first: str, second: str) -> Send:
    return lambda daemon, planted: _post(daemon, planted.pair(first, second), _JSON)


_KINDS: list[tuple[Send, int]] = [
    (_pair("comment", "trailing"), 1000),
    (_pair("trailing", "comment"), 1000),
    (_pair("garbage", "comment"), 2005),
    (_pair("comment", "garbage"), 2005),
    (_pair("comment", "cut"), 2005),
    (_pair("faceless", "trailing"), 4000),
    (_pair("tiny", "comment"), 2003),
    (lambda daemon, planted: _post(daemon, planted.pair("comment", "comment")[:-9], _JSON), 1200),
    (lambda daemon, planted: _post(daemon, b'{"' + planted.text("json").encode(), _JSON), 1200),
    (lambda daemon, planted: _post(daemon, f"{planted.text('form')}={planted.text('field')}".encode(), _FORM), 1200),
    (lambda daemon, planted: _post(daemon, f"{FIRST}={planted.text('photo')}&{SECOND}=a".encode(), _FORM), 1200),
    (lambda daemon, planted: _post(daemon, planted.photos["comment"], {"Content-Type": planted.text("type")}), 1200),
    (lambda daemon, planted: _post(daemon, b"", _JSON, f"/{planted.text('path')}?{planted.text('query')}"), 2000),
    (lambda daemon, planted: _post(daemon, b"{}", _JSON | dict.fromkeys(_HEADERS, planted.text("header"))), 1200),
    (lambda daemon, planted: _malformed(daemon, f"GET {planted.text('line')}\r\n\r\n"), 1200),
    (lambda daemon, planted: _malformed(daemon, f"GET / HTTP/1.1\r\n{planted.text('head')}\r\n\r\n"), 1200),
]
_PLACES = (
    *("comment", "trailing", "garbage", "cut", "faceless", "tiny"),
    *("name", "value", "json", "form", "field", "photo", "type", "path", "query", "header", "line", "head"),
)


def _with_comment(photo: bytes, canary: str) -> bytes:
    picture = opened(photo)
    exif = picture.getexif()
    exif[_EXIF_COMMENT] = canary
    return encoded(picture, "JPEG", exif=exif)


@pytest.fixture(scope="module")
def planted(legacy: LegacyFormat, samples: dict[str, bytes]) -> Planted:
    def cropped(name: str) -> bytes:
        picture = opened(samples[name])
        return encoded(picture.resize((_CROPPED_PX, _CROPPED_PX * picture.height // picture.width)), "JPEG")

    comment = _with_comment(cropped("obama"), _CANARY % "comment")
    photos = {
        "comment": comment,
        "trailing": cropped("biden") + (_CANARY % "trailing").encode(),
        "garbage": (_CANARY % "garbage").encode() * 9,
        "cut": _with_comment(cropped("obama2"), _CANARY % "cut")[:2000],
        "faceless": plain(64, 64) + (_CANARY % "faceless").encode(),
        "tiny": encoded(Image.new("RGB", (4, 4))) + (_CANARY % "tiny").encode(),
    }
    assert all((_CANARY % name).encode() in photo for name, photo in photos.items())
    return Planted(legacy, photos)


@pytest.fixture(scope="module")
def traces(planted: Planted) -> Traces:
    sealed = [planted.legacy.seal(photo).encode() for photo in planted.photos.values()]
    return Traces((_CANARY % place for place in _PLACES), [*planted.photos.values(), *sealed])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The daemon's working folder, its folder for temporary files inside."""
    folder = tmp_path_factory.mktemp("state")
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def private(site: Site, state: Path) -> Iterator[RunningDaemon]:
    """A daemon with folders of its own, started where core dumps are allowed."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    environment = {"TMPDIR": str(state / "tmp"), "HOME": str(state)}
    daemon = RunningDaemon(site.write("private.yaml"), state / "daemon.log", environment, state)
    with daemon:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        yield daemon


@pytest.fixture(scope="module")
def asked(private: RunningDaemon, planted: Planted) -> RunningDaemon:
    """The daemon, after a thousand requests of all kinds; each got the code that its kind gets."""
    kinds = list(islice(cycle(_KINDS), _REQUESTS))
    with ThreadPoolExecutor(_THREADS) as threads:
        codes = list(threads.map(lambda kind: kind[0](private, planted), kinds))
    assert codes == [code for _, code in kinds]
    return private


def test_log_holds_nothing_of_what_was_sent(asked: RunningDaemon, traces: Traces) -> None:
    answered = [event for event in asked.events if event["event"] in ("answer", "malformed_request")]
    assert len(answered) >= _REQUESTS
    assert traces.in_files([asked.log]) == []


def test_working_and_temporary_folders_hold_nothing_of_what_was_sent(
    asked: RunningDaemon, state: Path, traces: Traces
) -> None:
    assert asked.process.poll() is None
    assert traces.in_files(files_below(state)) == []


def test_files_that_the_worker_holds_open_hold_nothing_of_what_was_sent(asked: RunningDaemon, traces: Traces) -> None:
    need("a test's right to look into a process that hides", os.geteuid() == 0)
    assert traces.in_files(files_open_in(asked.worker)) == []


def test_metrics_hold_nothing_of_what_was_sent(asked: RunningDaemon, traces: Traces) -> None:
    assert not traces.in_bytes(asked.get("/metrics").body)


def test_worker_leaves_no_core_dump(private: RunningDaemon, state: Path) -> None:
    assert resource.prlimit(private.worker, resource.RLIMIT_CORE) == (0, 0)
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
        assert resource.prlimit(private.process.pid, resource.RLIMIT_CORE) != (0, 0), "the limit is the worker's own"
    assert not list(state.rglob("core*"))


_LEAKS: dict[str, Callable[[bytes], bytes]] = {
    "canary": lambda _photo: (_CANARY % "header").encode(),
    "bytes": lambda photo: photo[700:730],
    "hex": lambda photo: photo[700:730].hex().encode(),
    "Python's escapes": lambda photo: repr(photo[700:760]).encode(),
    "JSON's escapes": lambda photo: json.dumps(photo[700:760].decode("latin-1")).encode(),
}


@pytest.mark.parametrize("leak", _LEAKS.values(), ids=_LEAKS)
def test_leak_of_a_run_of_a_photo_would_be_found(
    planted: Planted, traces: Traces, tmp_path: Path, leak: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "clean").write_bytes(b'{"event": "answer", "request_id": "216069908eb147ed9e5e2b79bb767117"}')
    (tmp_path / "leaky").write_bytes(b'{"event": "answer"}' * 99 + leak(planted.photos["comment"]) + b"\n")
    assert traces.in_files(files_below(tmp_path)) == [tmp_path / "leaky"]


@pytest.mark.parametrize("start", range(6))
def test_leak_in_base64_would_be_found_at_every_alignment(planted: Planted, traces: Traces, start: int) -> None:
    photo = planted.photos["comment"]
    assert traces.in_bytes(base64.b64encode(photo[700 + start : 760 + start]))


def test_leak_of_a_sealed_photo_would_be_found(planted: Planted, traces: Traces) -> None:
    assert traces.in_bytes(planted.pair("comment", "trailing")[1000:1050])
