"""Step 8, calibrate: the verification score, so that a threshold t on it has the false match rate 10^(3 - 10 t).

The map is a table of knots with straight lines between, fitted by `fvctl calibrate` and bound to the two networks it
was measured with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from daemon.config import AtLeastOne
from daemon.errors import CalibrationRefused, ConfigurationRefused
from daemon.manifest import Sha256, Share
from daemon.yaml_file import STRICT, read_yaml

SCORE_DIGITS = 7
"""Decimal digits of a verification score: one in the last digit changes the false match rate by 2 in a million."""

Cosine = Annotated[float, Field(ge=-1, le=1)]


@dataclass(frozen=True, slots=True, config=STRICT)
class ErrorRate:
    """What was measured at one threshold of the contract's table.

    Attributes:
        threshold: verification score.
        cosine: comparison score that the threshold stands for.
        fmr: false match rate measured on the set.
        fmr_interval: 95 % interval of it, by bootstrap over identities.
        fnmr: false non-match rate over all mated pairs.
        fnmr_one_pair: the same over one mated pair per identity.
        extrapolated: fewer than ten non-mated pairs are expected above; the value comes from the tail's model.
    """

    threshold: Share
    cosine: Cosine
    fmr: Share
    fmr_interval: tuple[Share, Share]
    fnmr: Share
    fnmr_one_pair: Share
    extrapolated: bool


@dataclass(frozen=True, slots=True, config=STRICT)
class DataSet:
    """What was measured: how many people, photos with a face, photos without one, and pairs."""

    name: str
    identities: AtLeastOne
    photos: AtLeastOne
    failures_to_acquire: Annotated[int, Field(ge=0)]
    mated_pairs: AtLeastOne
    non_mated_pairs: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class CalibrationRecord:
    """The file `calibration.yaml` in a recognition network's folder.

    Attributes:
        detection: model hash of the detection network that it was measured with.
        recognition: model hash of the recognition network.
        tool: what made it, with its version.
        made_utc: when, ISO 8601.
        data: what was measured.
        error_rates: what each threshold of the contract's table means on that set.
        counted_to: verification score up to which non-mated pairs were counted; beyond it the map is extrapolated.
        knots: comparison score and verification score of each knot of the map; both rise, from -1 to 1.
    """

    detection: Sha256
    recognition: Sha256
    tool: str
    made_utc: str
    data: DataSet
    error_rates: tuple[ErrorRate, ...]
    counted_to: Share
    knots: Annotated[tuple[tuple[Cosine, Share], ...], Field(min_length=2)]


class Calibration:
    """Step 8 of the pipeline."""

    def __init__(self, record: CalibrationRecord) -> None:
        self.record = record
        self._cosines, self._scores = np.array(record.knots, np.float64).T

    def score(self, cosine: float) -> float:
        """The verification score.

        Args:
            cosine: comparison score, -1 to 1.

        Returns:
            0 to 1, rounded to seven digits; never falls where the cosine rises.
        """
        return round(float(np.interp(cosine, self._cosines, self._scores)), SCORE_DIGITS)


def load_calibration(path: Path, detection_hash: str, recognition_hash: str) -> Calibration:
    """The calibration of the loaded networks.

    Args:
        path: `calibration.yaml`.
        detection_hash: model hash of the loaded detection network.
        recognition_hash: model hash of the loaded recognition network.

    Raises:
        CalibrationRefused: missing, damaged, not monotone, or measured with other networks.
    """
    remedy = f"Restore {path} from the release, or measure anew: fvctl calibrate --help"
    try:
        record = read_yaml(path, CalibrationRecord)
    except ConfigurationRefused as error:
        raise CalibrationRefused(str(error.args[0]), remedy) from None
    for network, bound, loaded in (
        ("detection", record.detection, detection_hash),
        ("recognition", record.recognition, recognition_hash),
    ):
        if bound != loaded:
            raise CalibrationRefused(
                f"{path} was measured with another {network} network: it names {bound[:16]}, loaded is {loaded[:16]}",
                remedy,
            )
    _check_knots(path, record, remedy)
    return Calibration(record)


def _check_knots(path: Path, record: CalibrationRecord, remedy: str) -> None:
    cosines, scores = np.array(record.knots, np.float64).T
    whole = cosines[0] == -1 and cosines[-1] == 1
    if not (whole and np.all(np.diff(cosines) > 0) and np.all(np.diff(scores) >= 0)):
        raise CalibrationRefused(f"{path}: knots must rise from cosine -1 to 1 and scores must never fall", remedy)
