"""Clients that share no code with the daemon: curl, Java and Node seal and ask as a terminal does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from daemon.api.verification import PATH
from tests.conftest import need
from tests.end_to_end.contract import FIRST, SECOND
from tests.running_daemon import RunningDaemon

Client = Callable[[str, Path, Path], str]
"""(address, photo one, photo two) to the body of the answer."""

_CLIENTS = Path(__file__).parent / "clients"
_CURL = ["curl", "--silent", "--show-error", "--noproxy", "*"]


@pytest.fixture(scope="module")
def photo_files(samples: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in samples.items():
        (folder / f"{name}.jpg").write_bytes(photo)
    return {name: folder / f"{name}.jpg" for name in samples}


def _said(*command: str) -> str:
    need(command[0], which(command[0]) is not None)
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def _sealed(photo: Path) -> str:
    return _said("node", str(_CLIENTS / "seal.mjs"), str(photo)).strip()


def _vendors_curl(url: str, first: Path, second: Path) -> str:
    """As the vendor's sample does it: plain -d, so that the plus signs of the base64 travel bare."""
    body = first.with_suffix(".body")
    body.write_text(f"{FIRST}={_sealed(first)}&{SECOND}={_sealed(second)}")
    assert "+" in body.read_text()
    return _said(*_CURL, "-d", f"@{body}", url + PATH)


def _curl_multipart(url: str, first: Path, second: Path) -> str:
    for photo in (first, second):
        photo.with_suffix(".sealed").write_text(_sealed(photo))
    parts = (f"{FIRST}=<{first.with_suffix('.sealed')}", f"{SECOND}=<{second.with_suffix('.sealed')}")
    return _said(*_CURL, "-F", parts[0], "-F", parts[1], url + PATH)


def _java(url: str, first: Path, second: Path) -> str:
    return _said("java", str(_CLIENTS / "Verify.java"), url, str(first), str(second))


def _node(url: str, first: Path, second: Path) -> str:
    return _said("node", str(_CLIENTS / "verify.mjs"), url, str(first), str(second))


_EACH_CLIENT = pytest.mark.parametrize("client", [_vendors_curl, _curl_multipart, _java, _node])


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
