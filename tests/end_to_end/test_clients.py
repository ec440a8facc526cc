"""Clients that share no code with the daemon: curl, openssl, Java, Node and Python seal and ask as a terminal does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from shutil import which

import pytest

from daemon.api.registry import TerminalRecord, TokenProof
from daemon.api.verification import PATH
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import need
from tests.end_to_end import terminal_programs as programs
from tests.end_to_end.conftest import Start
from tests.end_to_end.contract import FIRST, SECOND
from tests.end_to_end.terminal_programs import CLIENTS, Program, said
from tests.running_daemon import RunningDaemon
from tools.registry import store

Client = Callable[[str, Path, Path], str]
"""(address, photo one, photo two) to the body of the answer."""

_CURL = ["curl", "--silent", "--show-error", "--noproxy", "*"]


@pytest.fixture(scope="module")
def photo_files(samples: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in samples.items():
        (folder / f"{name}.jpg").write_bytes(photo)
    return {name: folder / f"{name}.jpg" for name in samples}


def _sealed(photo: Path) -> str:
    need("node", which("node") is not None)
    return said("node", str(CLIENTS / "seal.mjs"), str(photo)).strip()


def _vendors_curl(url: str, first: Path, second: Path) -> str:
    """As the vendor's sample does it: plain -d, so that the plus signs of the base64 travel bare."""
    body = first.with_suffix(".body")
    body.write_text(f"{FIRST}={_sealed(first)}&{SECOND}={_sealed(second)}")
    assert "+" in body.read_text()
    return said(*_CURL, "-d", f"@{body}", url + PATH)


def _curl_multipart(url: str, first: Path, second: Path) -> str:
    for photo in (first, second):
        photo.with_suffix(".sealed").write_text(_sealed(photo))
    parts = (f"{FIRST}=<{first.with_suffix('.sealed')}", f"{SECOND}=<{second.with_suffix('.sealed')}")
    return said(*_CURL, "-F", parts[0], "-F", parts[1], url + PATH)


def _running(program: Callable[[], Program]) -> Client:
    return lambda url, first, second: said(*program(), url, str(first), str(second))


_LEGACY = (programs.shell, programs.java, programs.node, programs.python)
_JWE = (programs.java_jwe, programs.node_jwe, programs.python_jwe)
_EACH_CLIENT = pytest.mark.parametrize(
    "client",
    [
        pytest.param(_vendors_curl, id="vendors_curl"),
        pytest.param(_curl_multipart, id="curl_multipart"),
        *(pytest.param(_running(program), id=program.__name__) for program in (*_LEGACY, *_JWE)),
    ],
)


@_EACH_CLIENT
def test_mated_photos_score_above_the_recommended_threshold(
    daemon: RunningDaemon, photo_files: dict[str, Path], client: Client
) -> None:
    answer = json.loads(client(daemon.url, photo_files["obama"], photo_files["obama2"]))
    assert answer["code"] == 1000
    assert answer["verification_score"] > 0.7


@_EACH_CLIENT
def test_non_mated_photos_score_below_the_recommended_threshold(
    daemon: RunningDaemon, photo_files: dict[str, Path], client: Client
) -> None:
    answer = json.loads(client(daemon.url, photo_files["obama"], photo_files["biden"]))
    assert answer["code"] == 1000
    assert answer["verification_score"] < 0.5


@_EACH_CLIENT
def test_a_refusal_is_shown_and_no_crash(daemon: RunningDaemon, tmp_path: Path, client: Client) -> None:
    (tmp_path / "one.jpg").write_bytes(b"no photo at all, and long enough that its base64 may hold a plus sign" * 20)
    answer = json.loads(client(daemon.url, tmp_path / "one.jpg", tmp_path / "one.jpg"))
    assert (answer["code"], answer["message"]) == (2005, "invalid image type or corrupted")


@pytest.fixture(scope="module")
def asks_for_tokens(start: Start, tmp_path_factory: pytest.TempPathFactory) -> RunningDaemon:
    """A daemon that knows one terminal, by the token `a-token`."""
    registry = tmp_path_factory.mktemp("terminals") / "terminals.yaml"
    proof = TokenProof("bearer", "00" * 16, hashlib.sha256(bytes(16) + b"a-token").hexdigest())
    store(registry, (TerminalRecord("till-3", proof, date.max, None, datetime.now(timezone.utc)),))
    return start("tokens", terminals={"authentication": "bearer", "registry": str(registry)})


@pytest.mark.parametrize(("token", "code"), [("a-token", 1000), ("another", 1100), (None, 1100)])
@pytest.mark.parametrize("program", [programs.shell, *_JWE])
def test_a_terminal_is_known_by_the_token_in_its_environment(
    asks_for_tokens: RunningDaemon,
    small: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[], Program],
    token: str | None,
    code: int,
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("TOKEN", token)
    (tmp_path / "photo").write_bytes(small["obama"])
    photo = str(tmp_path / "photo")
    assert json.loads(said(*program(), asks_for_tokens.url, photo, photo))["code"] == code


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4097])
def test_openssl_seals_what_a_gcm_library_seals(legacy: LegacyFormat, tmp_path: Path, size: int) -> None:
    photo = bytes(step * 151 % 256 for step in range(size))
    (tmp_path / "photo").write_bytes(photo)
    assert said(*programs.shell(), str(tmp_path / "photo")) == legacy.seal(photo)
