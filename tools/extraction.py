"""Photos whose people are known, and the aligned faces in them.

Two layouts are read: a folder with one folder per identity, and a folder with `index.csv`, whose column `id` names the
identity, whose values that end like a photo name photos beside it, and whose other columns are groups.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from daemon.config import ExifOrientation, PhotoLimits
from daemon.errors import ConfigurationRefused, RequestError
from daemon.face.acquisition import Looks, acquire
from daemon.face.alignment import align
from daemon.face.detection import FaceDetector
from daemon.photo.decoder import REDUCTION_MAX, PhotoDecoder
from daemon.records import FaceCrop
from tools.console import progress

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff")

LIMITS = PhotoLimits(
    min_side_px=8,
    max_side_px=5000,
    max_bytes=5 << 20,
    exif_orientation=ExifOrientation.PARAMETER,
    reduced_side_px=640,
    face_side_px=230,
    decoding_s=1.5,
    decoding_bytes=400 << 20,
)
"""Source: the contract and systemd/faceverifyd.yaml; what is measured is what will be served."""

_LAYOUT = "Name a folder with one folder per identity, photos inside, or with an index.csv."


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """One photo of one person.

    Attributes:
        identity: who it is.
        path: the file.
        groups: group name to value, such as gender to female; empty where the set names none.
    """

    identity: str
    path: Path
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListedPair:
    """One line of a pair list."""

    mated: bool
    first: Path
    second: Path


def labelled_photos(folder: Path) -> list[LabelledPhoto]:
    """All photos of a labelled folder, in a fixed order.

    Raises:
        ConfigurationRefused: there is no such folder, a named photo is missing, or there are fewer than two identities.
    """
    if not folder.is_dir():
        raise ConfigurationRefused(f"{folder} is no folder", _LAYOUT)
    index = folder / "index.csv"
    photos = _from_index(index) if index.is_file() else _from_folders(folder)
    identities = {photo.identity for photo in photos}
    if len(identities) < 2:
        raise ConfigurationRefused(
            f"{folder} holds photos of {len(identities)} identities, at least 2 are needed", _LAYOUT
        )
    return photos


def _from_folders(folder: Path) -> list[LabelledPhoto]:
    found = (path for path in sorted(folder.glob("*/*")) if path.suffix.lower() in PHOTO_ENDINGS)
    return [LabelledPhoto(path.parent.name, path, {}) for path in found]


def _from_index(index: Path) -> list[LabelledPhoto]:
    photos = []
    for row in rows_of(index, {"id"}):
        files = [value for value in row.values() if value.lower().endswith(PHOTO_ENDINGS)]
        groups = {name: value for name, value in row.items() if name != "id" and value not in files}
        photos += [LabelledPhoto(row["id"], _existing(index, value), groups) for value in files]
    return photos


def listed_pairs(pair_list: Path, folder: Path) -> list[ListedPair]:
    """The pairs of a CSV file with the columns `mated` (1 or 0), `a` and `b` (paths below the folder).

    Raises:
        ConfigurationRefused: the list or a photo it names is missing, or it lacks mated or non-mated pairs.
    """
    pairs = [
        ListedPair(row["mated"] == "1", _existing(pair_list, row["a"], folder), _existing(pair_list, row["b"], folder))
        for row in rows_of(pair_list, {"mated", "a", "b"})
    ]
    if {pair.mated for pair in pairs} != {True, False}:
        raise ConfigurationRefused(f"{pair_list} must name mated and non-mated pairs", "Add what is missing.")
    return pairs


def rows_of(path: Path, columns: set[str]) -> list[dict[str, str]]:
    """The rows of a CSV file by column name.

    Raises:
        ConfigurationRefused: it cannot be read, or lacks one of these columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: value or "" for name, value in row.items() if name} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error}", "Name a CSV file.") from error
    missing = columns - set(rows[0] if rows else ())
    if missing:
        raise ConfigurationRefused(f"{path} has no column {', '.join(sorted(missing))}", "Add the column.")
    return rows


def _existing(named_in: Path, name: str, folder: Path | None = None) -> Path:
    path = (folder or named_in.parent) / name
    if not path.is_file():
        raise ConfigurationRefused(f"{named_in} names {path}, which is missing", "Restore the photo, or drop its line.")
    return path


def face_crop(path: Path, detector: FaceDetector) -> FaceCrop | None:
    """Steps 2 to 4 for a photo on disk; None is a failure to acquire.

    Raises:
        ConfigurationRefused: the file cannot be read at all.
    """
    try:
        photo = path.read_bytes()
    except OSError as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error.strerror}", "Make it readable.") from error
    looks = Looks(
        partial(PhotoDecoder(LIMITS).decode, memoryview(photo), False),
        partial(detector.find, auto_rotate=False),
        detector.look_closer,
    )
    try:
        return align(*acquire(looks, LIMITS.face_side_px, REDUCTION_MAX))
    except RequestError:
        return None


def face_crops(paths: Sequence[Path], detector: FaceDetector, threads: int) -> Iterator[FaceCrop | None]:
    """`face_crop` for many photos, in their order, with progress."""
    with ThreadPoolExecutor(threads) as pool:
        yield from progress(pool.map(lambda path: face_crop(path, detector), paths), len(paths), "faces")
