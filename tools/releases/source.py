"""What a device takes from a web server or a stick: the same files, the same signatures, the same refusals.

Nothing counts before it is verified, and what was copied is verified again on this device's own disk. A stick has no
fresh timestamp: there the word of `releases` counts as long as that role says, and older than what the device has seen
it may not be. A device's clock counts as no earlier than what it knows to be past.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Signed, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from daemon.errors import ReleaseRefused
from tools.releases.manifest import archive_name, version
from tools.releases.repository import RELEASES, SIGNED_FIELD
from tools.whole_file import sync_folder

_ROOT_FILE = "root.json"
_PART_BYTES = 1 << 20
_WITHOUT_A_CLOCK = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STICK = "stick:///"
_REASONS: dict[type[Exception], str] = {
    ExpiredMetadataError: "its word has expired: held back, not published anew, or this device's clock is ahead",
    UnsignedMetadataError: "it is not signed by those whom this device trusts",
    BadVersionNumberError: "it is older than what this device has seen, or mixed of several",
    DownloadLengthMismatchError: "it sends more than was signed for",
    LengthOrHashMismatchError: "what it holds is not what was signed",
    DownloadHTTPError: "it lacks a file",
    SlowRetrievalError: "it is too slow",
    DownloadError: "it cannot be read",
    RepositoryError: "it is not as a repository must be",
}
"""What each refusal of tuf means, the particular before the general."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A release that is published for this device's platform."""

    version: str
    platform: str
    rollout_percent: int
    size: int


@dataclass(frozen=True, slots=True)
class Trust:
    """What a device believes and keeps.

    Attributes:
        root: the root that came with the device, JSON.
        folder: of what it has seen, so that it never goes back behind it.
        known_past: a moment that is over for certain, whatever the clock says.
    """

    root: bytes
    folder: Path
    known_past: datetime


class Source:
    """A repository, verified at the time it is made.

    Attributes:
        signed_utc: when the newest list of releases was signed, by an offline key: over for certain.

    Args:
        address: of a web server, or a folder.
        trust: what the device believes.
        now: its clock.

    Raises:
        ReleaseRefused: the repository is not to be trusted, with the reason.
    """

    def __init__(self, address: str, trust: Trust, now: datetime) -> None:
        self._address = address
        is_stick = not address.startswith(("http://", "https://"))
        base = _STICK if is_stick else f"{address.rstrip('/')}/"
        fetcher = Stick(Path(address)) if is_stick else Web()
        trust.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        moment = max(now, trust.known_past)
        with _refusing(address):
            self._updater = Updater(
                str(trust.folder), f"{base}metadata/", None, f"{base}targets/", fetcher, bootstrap=trust.root
            )
            known = self._updater._trusted_set
            known.reference_time = _WITHOUT_A_CLOCK if is_stick else moment
            self._updater.refresh()
            self._releases: Targets = self._updater._load_targets(RELEASES, Targets.type)
            for role in ("root", "targets", RELEASES):
                _refuse_expired(role, known[role], moment)
        sync_folder(trust.folder)
        stated = self._releases.unrecognized_fields.get(SIGNED_FIELD, "")
        self.signed_utc = _moment(stated) or trust.known_past

    def offers(self, platform: str) -> list[Offer]:
        """The releases for a platform, newest first."""
        found = [_offer(name, target) for name, target in self._releases.targets.items()]
        mine = [offer for offer in found if offer is not None and offer.platform == platform]
        return sorted(mine, key=lambda offer: version(offer.version), reverse=True)

    def platforms_of(self, wanted: str) -> list[str]:
        """The platforms that a version is published for."""
        found = (_offer(name, target) for name, target in self._releases.targets.items())
        return sorted(offer.platform for offer in found if offer is not None and offer.version == wanted)

    def fetch(self, offer: Offer, folder: Path) -> Path:
        """Copy a release's archive onto this device, and verify the copy.

        Args:
            offer: one of `offers`.
            folder: where to; it needs room for the archive twice.

        Raises:
            ReleaseRefused: what came is not what was signed, or the disk does not hold what was written.
        """
        name = archive_name(offer.version, offer.platform)
        final = folder / name
        making = folder / f".making-{name}"
        with _refusing(self._address), _temporary_files_in(folder):
            target = self._updater.get_targetinfo(name)
            if target is None:
                raise ReleaseRefused(f"{self._address} has no {name}", "Run: fvctl release check")
            if self._updater.find_cached_target(target, str(final)) is None:
                self._updater.download_target(target, str(making))
                _sync(making)
                with making.open("rb") as copy:
                    target.verify_length_and_hashes(copy)
                making.replace(final)
                sync_folder(folder)
        return final


class Web(Urllib3Fetcher):
    """Reads a web server, but not one that sends a byte now and then: nobody could see that from a hang.

    Args:
        patience_s: seconds after which it must have been fast enough.
        bytes_per_s: how fast at least, from the beginning.
        part_bytes: what is waited for at once.
    """

    def __init__(self, patience_s: float = 60.0, bytes_per_s: float = 1024.0, part_bytes: int = 4096) -> None:
        super().__init__(chunk_size=part_bytes, app_user_agent="faceverifyd")
        self._patience_s, self._bytes_per_s = patience_s, bytes_per_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        began, received = time.monotonic(), 0
        for part in super()._fetch(url):
            received += len(part)
            took_s = time.monotonic() - began
            if took_s > self._patience_s and received < took_s * self._bytes_per_s:
                raise SlowRetrievalError(f"{received} bytes of {url} in {took_s:.0f} s")
            yield part


class Stick(FetcherInterface):
    """Reads a folder as a web server would serve it: regular files of the repository and nothing that they point to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        parts = unquote(url.removeprefix(_STICK)).split("/")
        if not self._folder.is_dir():
            raise DownloadError(f"{self._folder} is no folder")
        if any(part in ("", ".", "..") for part in parts):
            raise DownloadHTTPError(f"{url} is not in the repository", 404)
        path = self._folder.joinpath(*parts)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise DownloadHTTPError(f"{path} is missing", 404) from None
        return _parts(descriptor, path)


def _parts(descriptor: int, path: Path) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DownloadError(f"{path} is no regular file")
        while part := file.read(_PART_BYTES):
            yield part


def _offer(name: str, target: TargetFile) -> Offer | None:
    """What a signed entry offers; None where it is not one of ours."""
    custom: dict[str, Any] = target.custom or {}
    stated, platform, share = (custom.get(field) for field in ("version", "platform", "rollout_percent"))
    if not isinstance(stated, str) or not isinstance(platform, str) or not isinstance(share, int):
        return None
    return Offer(stated, platform, share, target.length) if name == archive_name(stated, platform) else None


def _refuse_expired(role: str, signed: Signed, moment: datetime) -> None:
    if signed.is_expired(moment):
        raise ExpiredMetadataError(f"{role}.json ended {signed.expires}")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


@contextmanager
def _refusing(address: str) -> Iterator[None]:
    """Turns what tuf raises into a refusal that says why."""
    try:
        yield
    except (RepositoryError, DownloadError, OSError) as error:
        reason = next((text for known, text in _REASONS.items() if isinstance(error, known)), "it cannot be read")
        raise ReleaseRefused(
            f"{address}: {reason} ({error})",
            "Nothing was changed. Check the clock and the address; else tell who publishes the releases.",
        ) from error


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """What is not verified yet lies on the device's disk and not in its memory, where /tmp often is."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
