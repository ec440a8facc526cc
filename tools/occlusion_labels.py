"""What is known of real photos: who wears dark glasses, spectacles or a mask, whose mouth a hand covers.

A CSV file names photos and nothing else of them: columns `photo` (path below the folder), `shows` (what, for people),
`covered` and `unsure` (regions of `daemon.records.REGIONS`, separated by spaces). Looked at by eye; a region is unsure
where two people could answer differently: eyes that a tinted lens still shows, a finger on a lip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daemon.errors import ConfigurationRefused
from daemon.records import REGIONS, Floats
from tools.extraction import rows_of

PLAIN = "nothing"
"""What a photo shows that is not in the file."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one photo shows.

    Attributes:
        shows: what is before the face, in one or two words.
        visible: float32 (4,), as REGIONS: 1 visible, 0 covered, NaN unsure.
    """

    shows: str
    visible: Floats

    @property
    def clean(self) -> bool:
        """Whether every region is surely visible."""
        return bool((self.visible == 1).all())


NOTHING = Known(PLAIN, np.ones(len(REGIONS), np.float32))


def known_covers(file: Path) -> dict[str, Known]:
    """What is known of each photo, by its path below the folder.

    Raises:
        ConfigurationRefused: the file cannot be read, or names a region that is none.
    """
    return {row["photo"]: _known(file, row) for row in rows_of(file, {"photo", "shows", "covered", "unsure"})}


def _known(file: Path, row: dict[str, str]) -> Known:
    visible = np.ones(len(REGIONS), np.float32)
    for column, value in (("covered", 0.0), ("unsure", np.nan)):
        visible[_places(file, row[column].split())] = value
    return Known(row["shows"], visible)


def _places(file: Path, regions: Sequence[str]) -> list[int]:
    strange = set(regions) - set(REGIONS)
    if strange:
        raise ConfigurationRefused(f"{file} names {', '.join(sorted(strange))}", f"Regions are {', '.join(REGIONS)}.")
    return [REGIONS.index(region) for region in regions]
