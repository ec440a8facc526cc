"""Pinned archives come from the site's own index, once, and nothing else passes for them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from daemon.errors import DownloadFailed
from tools.fetch import fetch_archive, read_member

WHEEL = "some_network-1.0-py3-none-any.whl"
REQUIREMENT = "some-network==1.0"
MEMBER = "some_network/network.onnx"
CONTENT = b"a network"
CONTENT_SHA256 = "2f782beca6c497e09ee1b67bd6a1202048f19e97f7e1364a58d415ce7b3ecd9e"
"""Source: sha256sum, of the content."""
MIRROR = "http://127.0.0.2:9"
"""Nothing listens there: only the proxy answers for it."""

HTML, JSON = "text/html", "application/vnd.pypi.simple.v1+json"


def wheel_bytes(content: bytes = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(MEMBER, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel() -> bytes:
    return wheel_bytes()


class Index:
    """A package index on loopback, which is also a plain HTTP proxy."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.credentials: str | None = None
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix(MIRROR)
                index.asked.append(self.path)
                kind, body = index.pages.get(path, ("text/plain", b""))
                shown = self.headers.get("Authorization", "").removeprefix("Basic ")
                refused = index.credentials is not None and base64.b64decode(shown).decode() != index.credentials
                self.send_response(401 if refused else 200 if path in index.pages else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}/simple"

    def holds(self, content: bytes, stated_sha256: str, kind: str = HTML) -> None:
        """Offer a wheel, stating a hash of it."""
        entry = {"filename": WHEEL, "url": f"/files/{WHEEL}", "hashes": {"sha256": stated_sha256}}
        page = json.dumps({"meta": {"api-version": "1.0"}, "name": "some-network", "files": [entry]})
        if kind == HTML:
            page = f'<a href="/files/{WHEEL}#sha256={stated_sha256}">{WHEEL}</a>'
        self.pages = {"/simple/some-network/": (kind, page.encode()), f"/files/{WHEEL}": ("binary/octet", content)}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index that pip's settings name."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "PROXY", "TRUSTED_HOST", "CERT"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    made = Index()
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    serving = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    serving.start()
    yield made
    made.server.shutdown()
    serving.join()
    made.server.server_close()


@pytest.mark.parametrize("kind", [HTML, JSON])
def test_an_archive_comes_from_an_index_of_either_kind(index: Index, wheel: bytes, tmp_path: Path, kind: str) -> None:
    index.holds(wheel, sha256(wheel), kind)
    found = fetch_archive(REQUIREMENT, sha256(wheel), tmp_path / "cache")
    assert found == tmp_path / "cache" / WHEEL
    assert found.read_bytes() == wheel


def test_a_folder_of_archives_serves_too_and_is_left_alone(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / WHEEL).write_bytes(wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "stick"))
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path / "cache").read_bytes() == wheel
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [WHEEL]
    assert (tmp_path / "stick" / WHEEL).exists()


def test_another_archive_of_that_name_in_a_folder_is_passed_over(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / WHEEL).write_bytes(wheel_bytes(b"another"))
    index.holds(wheel, sha256(wheel))
    monkeypatch.setenv("PIP_FIND_LINKS", tmp_path.as_uri())
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path / "cache").read_bytes() == wheel


def test_a_second_time_no_index_is_asked(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    first = fetch_archive(REQUIREMENT, sha256(wheel), tmp_path)
    index.asked.clear()
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path) == first
    assert index.asked == []


def test_an_archive_with_another_stated_hash_is_refused(index: Index, wheel: bytes, tmp_path: Path) -> None:
    index.holds(wheel, sha256(wheel))
    with pytest.raises(DownloadFailed, match=r"has no some-network==1\.0 with SHA-256 0000"):
        fetch_archive(REQUIREMENT, "0" * 64, tmp_path)


def test_an_archive_that_is_not_what_the_index_states_is_refused(index: Index, wheel: bytes, tmp_path: Path) -> None:
    index.holds(wheel_bytes(b"another"), sha256(wheel))
    with pytest.raises(DownloadFailed, match=r"has no some-network==1\.0"):
        fetch_archive(REQUIREMENT, sha256(wheel), tmp_path)


def test_a_half_fetched_archive_is_fetched_again(index: Index, wheel: bytes, tmp_path: Path) -> None:
    index.holds(wheel, sha256(wheel))
    (tmp_path / WHEEL).write_bytes(wheel[:50])
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path).read_bytes() == wheel


def test_an_index_out_of_reach_is_a_failure_with_a_remedy(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(DownloadFailed) as refused:
        fetch_archive(REQUIREMENT, "0" * 64, tmp_path)
    assert "pip config list" in refused.value.remedy


def test_an_index_that_pip_may_not_ask_is_not_asked(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadFailed, match="forbid every index"):
        fetch_archive(REQUIREMENT, sha256(wheel), tmp_path)
    assert index.asked == []


def test_the_index_of_pips_configuration_file_is_used(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL")
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path / "cache").read_bytes() == wheel


def test_a_further_index_is_asked_too(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index.address}/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path).read_bytes() == wheel


def test_pips_proxy_is_asked(index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.holds(wheel, sha256(wheel))
    monkeypatch.setenv("PIP_INDEX_URL", f"{MIRROR}/simple")
    monkeypatch.setenv("PIP_PROXY", f"http://{index.address}")
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path).read_bytes() == wheel


@pytest.mark.parametrize(("trusted", "asked"), [("0.0.0.0", True), ("other.invalid", False)])  # noqa: S104 - not bound to
def test_an_unencrypted_mirror_is_asked_where_pip_trusts_it(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, asked: bool
) -> None:
    index.holds(wheel, sha256(wheel))
    # An address that leads to loopback without being in 127.0.0.0/8, which needs no trust.
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
    monkeypatch.setenv("PIP_TRUSTED_HOST", trusted)
    with nullcontext() if asked else pytest.raises(DownloadFailed):
        fetch_archive(REQUIREMENT, sha256(wheel), tmp_path)
    assert bool(index.asked) is asked


def test_a_password_in_the_indexs_address_opens_it(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    index.credentials = "branch:secret"
    monkeypatch.setenv("PIP_INDEX_URL", f"http://branch:secret@{index.address}/simple")
    assert fetch_archive(REQUIREMENT, sha256(wheel), tmp_path).read_bytes() == wheel


def test_a_failure_does_not_show_the_indexs_password(
    index: Index, wheel: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.holds(wheel, sha256(wheel))
    del index.pages[f"/files/{WHEEL}"]
    monkeypatch.setenv("PIP_INDEX_URL", f"http://branch:secret@{index.address}/simple")
    with pytest.raises(DownloadFailed, match="404") as refused:
        fetch_archive(REQUIREMENT, sha256(wheel), tmp_path)
    assert "secret" not in str(refused.value)


def _source_archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(MEMBER)
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return path


@pytest.fixture(params=["wheel", "source"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, wheel: bytes) -> Path:
    """The same member in either kind of archive."""
    if request.param == "source":
        return _source_archive(tmp_path / "some_network-1.0.tar.gz")
    (tmp_path / WHEEL).write_bytes(wheel)
    return tmp_path / WHEEL


def test_a_member_is_read_where_its_hash_fits(archive: Path) -> None:
    assert read_member(archive, MEMBER, CONTENT_SHA256) == CONTENT


def test_a_member_with_another_hash_is_refused(archive: Path) -> None:
    with pytest.raises(DownloadFailed, match=f"{MEMBER} has SHA-256 {CONTENT_SHA256[:8]}"):
        read_member(archive, MEMBER, "0" * 64)


def test_a_missing_member_is_refused(archive: Path) -> None:
    with pytest.raises(DownloadFailed, match="has no folder/absent"):
        read_member(archive, "folder/absent", CONTENT_SHA256)


def test_a_folder_is_no_member(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="has no folder"):
        read_member(_source_archive(tmp_path / "source.tar.gz"), "folder", CONTENT_SHA256)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>please log in</html>")
    with pytest.raises(DownloadFailed, match="Delete"):
        read_member(tmp_path / "page.html", MEMBER, CONTENT_SHA256)
