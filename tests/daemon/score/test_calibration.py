"""Calibrations: refused unless whole, rising and of the loaded networks; monotone in what they say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.app import Networks
from daemon.errors import CalibrationRefused
from daemon.score.calibration import Calibration, load_calibration
from tests.conftest import REPOSITORY

SHIPPED = REPOSITORY / "trt_engines" / "sface" / "calibration.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
HASHES = (DOCUMENT["detection"], DOCUMENT["recognition"])
CALIBRATION = load_calibration(SHIPPED, *HASHES)

cosines = st.floats(-1, 1, allow_nan=False)


def _loaded(tmp_path: Path, **changes: Any) -> Calibration:  # noqa: ANN401 - whatever YAML can hold
    path = tmp_path / "calibration.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(DOCUMENT) | changes))
    return load_calibration(path, *HASHES)


def test_the_shipped_calibration_is_of_the_networks_that_the_recipe_builds(networks: Networks) -> None:
    assert (networks.detection.model_hash, networks.recognition.model_hash) == HASHES


@given(cosines, cosines)
def test_a_higher_cosine_never_has_a_lower_score(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert CALIBRATION.score(low) <= CALIBRATION.score(high)


@given(cosines)
def test_a_score_is_from_0_to_1_with_seven_digits(cosine: float) -> None:
    score = CALIBRATION.score(cosine)
    assert 0 <= score <= 1
    assert score == round(score, 7)


@pytest.mark.parametrize("rate", DOCUMENT["error_rates"], ids=lambda rate: str(rate["threshold"]))
def test_each_threshold_s_cosine_gives_that_threshold(rate: dict[str, float]) -> None:
    assert CALIBRATION.score(rate["cosine"]) == pytest.approx(rate["threshold"], abs=5e-4)


@pytest.mark.parametrize("rate", DOCUMENT["error_rates"], ids=lambda rate: str(rate["threshold"]))
def test_each_threshold_s_measured_rate_is_the_contract_s(rate: dict[str, Any]) -> None:
    # Source: the contract: FMR(t) = 10^(3 - 10 t). A threshold with few pairs above it is wide open.
    low, high = rate["fmr_interval"]
    assert rate["extrapolated"] or low <= 10 ** (3 - 10 * rate["threshold"]) <= high


def test_between_two_knots_the_score_lies_on_the_line(tmp_path: Path) -> None:
    calibration = _loaded(tmp_path, knots=[[-1.0, 0.0], [0.0, 0.2], [0.5, 0.6], [1.0, 1.0]])
    assert calibration.score(0.25) == 0.4  # half way from 0.2 to 0.6
    assert calibration.score(-0.5) == 0.1
    assert calibration.score(1.0) == 1.0


@pytest.mark.parametrize("network", ["detection", "recognition"])
def test_another_network_s_calibration_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(CalibrationRefused, match=f"another {network} network"):
        _loaded(tmp_path, **{network: "0" * 64})


@pytest.mark.parametrize(
    "knots",
    [
        pytest.param([[-1.0, 0.0], [0.5, 0.6], [0.6, 0.5], [1.0, 1.0]], id="a score falls"),
        pytest.param([[-1.0, 0.0], [0.5, 0.5], [0.5, 0.6], [1.0, 1.0]], id="a cosine stands still"),
        pytest.param([[-1.0, 0.0], [0.6, 0.5], [0.5, 0.6], [1.0, 1.0]], id="a cosine falls"),
        pytest.param([[-0.9, 0.0], [1.0, 1.0]], id="begins above -1"),
        pytest.param([[-1.0, 0.0], [0.9, 1.0]], id="ends below 1"),
        pytest.param([[-1.0, 0.0]], id="one knot"),
        pytest.param([[-1.0, 0.0], [1.0, 1.1]], id="a score above 1"),
        pytest.param([[-1.0, 0.0], [1.0, float("nan")]], id="no number"),
        pytest.param([], id="none"),
    ],
)
def test_knots_that_do_not_rise_are_refused(tmp_path: Path, knots: list[list[float]]) -> None:
    with pytest.raises(CalibrationRefused):
        _loaded(tmp_path, knots=knots)


def test_a_missing_calibration_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(CalibrationRefused) as refused:
        load_calibration(tmp_path / "absent.yaml", *HASHES)
    assert "fvctl calibrate" in refused.value.remedy


def test_a_truncated_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_bytes(SHIPPED.read_bytes()[: SHIPPED.stat().st_size // 4])
    with pytest.raises(CalibrationRefused):
        load_calibration(path, *HASHES)
