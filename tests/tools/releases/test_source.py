"""Attacks on what a device is updated from, by a web server and by a stick: each refused with its reason."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import SlowRetrievalError

from daemon.errors import ReleaseRefused
from tests.releases import PLATFORM, Published
from tools.releases import archive
from tools.releases.manifest import MANIFEST_FILE, Manifest, Proof, archive_name, read_manifest, sha256_of
from tools.releases.source import Source, Trust, Web

T = TypeVar("T")
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


class _Quiet(SimpleHTTPRequestHandler):
    endless = ""
    pause_s = 0.0

    def do_GET(self) -> None:
        if self.path.endswith(self.endless) and self.endless:
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b" " * (1 if self.pause_s else 65536))
                time.sleep(self.pause_s)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of the test."""


@contextmanager
def served(folder: Path, endless: str = "", pause_s: float = 0.0) -> Iterator[str]:
    """The folder's address on a web server of its own.

    Args:
        folder: what is served.
        endless: end of the path that never ends.
        pause_s: seconds between its bytes; without a pause there are many at once.
    """
    handler = partial(type("Handler", (_Quiet,), {"endless": endless, "pause_s": pause_s}), directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def small_archive(folder: Path, version: str, platform: str = PLATFORM) -> Path:
    """An archive with one file, and its folder beside it."""
    packed = folder / archive_name(version, platform)
    release = packed.with_suffix("")
    release.mkdir(parents=True)
    (release / "README.md").write_text(f"this is {version}\n" * 1000)
    files, built = archive.list_files(release), "2026-01-01T00:00:00+00:00"
    manifest = Manifest(1, version, platform, "0", built, 1, "0" * 64, 0, Proof(1.0, 1.0, 1.0, ()), files)
    (release / MANIFEST_FILE).write_bytes(manifest.content())
    archive.pack(release, packed, 0)
    return packed


class Eyes:
    """A device that looks at a repository, from a web server or from a stick."""

    def __init__(self, folder: Path, published: Published, by_web: bool) -> None:
        self.folder, self.published, self.by_web = folder, published, by_web
        self.trust = Trust(published.root, folder / "seen", LONG_AGO)
        self.endless = ""

    def look(self, at: Path | None = None) -> list[str]:
        """Versions on offer."""
        return self._do(at, lambda source: [offer.version for offer in source.offers(PLATFORM)])

    def fetch(self, at: Path | None = None) -> Path:
        """Copy the newest release's archive."""
        return self._do(at, lambda source: source.fetch(source.offers(PLATFORM)[0], self.folder))

    def _do(self, at: Path | None, work: Callable[[Source], T]) -> T:
        where = at or self.published.folder
        if not self.by_web:
            return work(Source(str(where), self.trust, self.published.now))
        with served(where, self.endless) as address:
            return work(Source(address, self.trust, self.published.now))


@pytest.fixture(params=["web", "stick"])
def eyes(request: pytest.FixtureRequest, tmp_path: Path, published: Published) -> Eyes:
    """A device; the repository has one release."""
    published.publish(small_archive(tmp_path, "1.0"))
    return Eyes(tmp_path / "device", published, request.param == "web")


def _copy(published: Published, name: str) -> Path:
    return Path(shutil.copytree(published.folder, published.folder.with_name(name)))


def _refused(look: Callable[[], object]) -> str:
    with pytest.raises(ReleaseRefused) as refused:
        look()
    return str(refused.value)


def test_what_is_published_is_offered_and_copied(eyes: Eyes) -> None:
    assert eyes.look() == ["1.0"]
    eyes.folder.mkdir(exist_ok=True)
    assert sha256_of(eyes.fetch()) in {
        path.name.partition(".")[0] for path in (eyes.published.folder / "targets").iterdir()
    }


def test_a_tampered_archive_is_refused(eyes: Eyes) -> None:
    (target,) = (eyes.published.folder / "targets").iterdir()
    content = bytearray(target.read_bytes())
    content[2000] ^= 1
    target.write_bytes(content)
    eyes.folder.mkdir()
    assert "not what was signed" in _refused(eyes.fetch)
    assert [path.name for path in eyes.folder.iterdir()] == ["seen"]


@pytest.mark.parametrize("role", ["timestamp.json", "2.snapshot.json", "1.targets.json", "2.releases.json"])
def test_tampered_metadata_is_refused(eyes: Eyes, role: str) -> None:
    path = eyes.published.folder / "metadata" / role
    path.write_text(path.read_text().replace('"version": ', '"version": 1'))
    assert "Nothing was changed" in _refused(eyes.look)


def test_a_repository_that_goes_back_is_refused(eyes: Eyes, tmp_path: Path) -> None:
    before = _copy(eyes.published, "before")
    eyes.published.publish(small_archive(tmp_path, "2.0"))
    assert eyes.look() == ["2.0", "1.0"]
    assert "older than what this device has seen" in _refused(lambda: eyes.look(before))


def test_a_web_server_that_stands_still_is_noticed_after_a_week_and_a_stick_after_a_year(eyes: Eyes) -> None:
    assert eyes.look() == ["1.0"]
    eyes.published.now += timedelta(days=8 if eyes.by_web else 401)
    assert "expired" in _refused(eyes.look)


def test_a_stick_counts_for_a_year(eyes: Eyes) -> None:
    eyes.published.now += timedelta(days=399)
    if not eyes.by_web:
        assert eyes.look() == ["1.0"]


def test_a_clock_that_was_reset_counts_as_no_earlier_than_what_is_known(eyes: Eyes) -> None:
    known = eyes.published.now + timedelta(days=401)
    eyes.trust = replace(eyes.trust, known_past=known)
    eyes.published.now = LONG_AGO
    assert "expired" in _refused(eyes.look)


def test_a_mix_of_two_releases_is_refused(eyes: Eyes, tmp_path: Path) -> None:
    before = _copy(eyes.published, "before")
    eyes.published.publish(small_archive(tmp_path, "2.0"))
    # Today's timestamp and snapshot, and yesterday's list of releases under today's name.
    mixed = _copy(eyes.published, "mixed")
    shutil.copy(before / "metadata" / "2.releases.json", mixed / "metadata" / "3.releases.json")
    assert "older than what this device has seen, or mixed" in _refused(lambda: eyes.look(mixed))


def test_one_release_under_the_name_of_another_is_refused(eyes: Eyes, tmp_path: Path) -> None:
    eyes.published.publish(small_archive(tmp_path, "2.0"))
    targets = eyes.published.folder / "targets"
    old, new = sorted(targets.iterdir(), key=lambda path: path.name.partition(".")[2])
    new.write_bytes(old.read_bytes())
    eyes.folder.mkdir()
    assert "not what was signed" in _refused(eyes.fetch)


def test_a_repository_that_nobody_signed_is_refused(eyes: Eyes) -> None:
    path = eyes.published.folder / "metadata" / "2.releases.json"
    head, _, tail = path.read_text().partition('"signatures": [')
    path.write_text(f'{head}"signatures": []{tail[tail.index("]") + 1 :]}')
    assert "not signed by those whom this device trusts" in _refused(eyes.look)


def test_a_repository_of_others_is_refused(eyes: Eyes, tmp_path: Path) -> None:
    other = Published(tmp_path / "other", eyes.published.now)
    other.publish(small_archive(tmp_path / "theirs", "3.0"))
    assert "not signed by those whom this device trusts" in _refused(lambda: eyes.look(other.folder))


def test_a_release_signed_by_a_revoked_key_is_refused(eyes: Eyes, tmp_path: Path) -> None:
    published, revoked = eyes.published, eyes.published.keys["releases"]
    published.keys["releases"] = [CryptoSigner.generate_ed25519()]
    published.delegate()
    published.publish(small_archive(tmp_path, "2.0"))
    assert eyes.look() == ["2.0", "1.0"]
    published.keys["releases"] = revoked
    found = small_archive(tmp_path, "3.0")
    published.repository.publish({found: read_manifest(found.with_suffix(""))}, 100, published.keys)
    assert "not signed by those whom this device trusts" in _refused(eyes.look)


def test_a_new_root_that_too_few_signed_is_refused(eyes: Eyes) -> None:
    published = eyes.published
    public = {role: [signer.public_key for signer in signers] for role, signers in published.keys.items()}
    published.repository.make_root(public, 2)
    published.repository.sign("root", published.keys["root"][0])
    assert "not signed by those whom this device trusts" in _refused(eyes.look)


def test_keys_that_are_exchanged_by_a_new_root_count(eyes: Eyes, tmp_path: Path) -> None:
    published = eyes.published
    published.keys |= {role: [CryptoSigner.generate_ed25519()] for role in ("snapshot", "timestamp", "targets")}
    published.renew_root()
    published.delegate()
    published.publish(small_archive(tmp_path, "2.0"))
    assert eyes.look() == ["2.0", "1.0"]


# tuf leaves the connection to the end of the process, which comes soon.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("endless", ["timestamp.json", f"{archive_name('1.0', PLATFORM)}"])
def test_data_without_end_is_cut_off(eyes: Eyes, endless: str) -> None:
    if eyes.by_web:
        eyes.endless = endless
    else:
        (path,) = (path for path in eyes.published.folder.rglob("*") if path.name.endswith(endless))
        with path.open("ab") as file:
            file.truncate(1 << 40)  # a hole; it takes no room
    eyes.folder.mkdir()
    assert "sends more than was signed for" in _refused(eyes.fetch)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, "drip", 0.01) as address, pytest.raises(SlowRetrievalError):
        list(Web(patience_s=0.1, bytes_per_s=1024, part_bytes=8).fetch(f"{address}/drip"))


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a device"])
def test_a_stick_holds_files_and_nothing_that_leads_elsewhere(tmp_path: Path, published: Published, kind: str) -> None:
    eyes = Eyes(tmp_path / "device", published, by_web=False)
    path = published.folder / "metadata" / "timestamp.json"
    kept = path.rename(tmp_path / "kept")
    {
        "a link": lambda: path.symlink_to(kept),
        "a pipe": lambda: os.mkfifo(path),
        "a device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    assert "Nothing was changed" in _refused(eyes.look)


def test_what_is_published_for_others_is_not_offered(eyes: Eyes, tmp_path: Path) -> None:
    eyes.published.publish(small_archive(tmp_path, "2.0", "aarch64-py310-jetpack6"))
    assert eyes.look() == ["1.0"]


def test_no_repository_is_said_to_be_none(tmp_path: Path, published: Published) -> None:
    eyes = Eyes(tmp_path / "device", published, by_web=False)
    assert "cannot be read" in _refused(lambda: eyes.look(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "lacks a file" in _refused(lambda: eyes.look(tmp_path / "empty"))
