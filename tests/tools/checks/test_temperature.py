"""Warm is told from too warm, and what slows processors down from fans."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.checks.devices import device
from tools.checks.finding import Status
from tools.checks.temperature import CHECK


def _zone(root: Path, number: int, temp: str, trips: dict[str, int]) -> None:
    zone = root / f"sys/class/thermal/thermal_zone{number}"
    zone.mkdir(parents=True)
    (zone / "type").write_text(f"zone-{number}\n")
    (zone / "temp").write_text(temp)
    for index, (kind, limit) in enumerate(trips.items()):
        (zone / f"trip_point_{index}_type").write_text(f"{kind}\n")
        (zone / f"trip_point_{index}_temp").write_text(f"{limit}\n")


def _cooling(root: Path, number: int, kind: str, state: int) -> None:
    cooling = root / f"sys/class/thermal/cooling_device{number}"
    cooling.mkdir(parents=True)
    (cooling / "type").write_text(f"{kind}\n")
    (cooling / "cur_state").write_text(f"{state}\n")


def test_a_machine_without_zones_is_no_matter(tmp_path: Path) -> None:
    assert CHECK.look(device(tmp_path)).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("temp", "trips", "status"),
    [
        ("52000", {"passive": 99000, "critical": 104500}, Status.OK),
        ("99000", {"passive": 99000, "critical": 104500}, Status.NEEDS_DOING),
        ("90000", {"active": 60000, "critical": 104500}, Status.OK),  # a fan goes faster from there on
        ("52000", {"passive": 0, "hot": -274000, "critical": 20000}, Status.OK),  # firmware that means nothing
        ("105000", {"critical": 104500}, Status.NEEDS_DOING),
    ],
)
def test_what_counts_is_where_processors_are_slowed_down(
    tmp_path: Path, temp: str, trips: dict[str, int], status: Status
) -> None:
    _zone(tmp_path, 0, "-256000", {"passive": 70000})  # a GPU that is switched off, as a Jetson tells it
    _zone(tmp_path, 1, temp, trips)
    assert CHECK.look(device(tmp_path)).status is status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("pwm-fan", Status.OK),
        ("cpufreq-cpu0", Status.NEEDS_DOING),
        ("devfreq-17000000.gpu", Status.NEEDS_DOING),
        ("thermal-cpufreq-0", Status.NEEDS_DOING),
        ("Processor", Status.NEEDS_DOING),
    ],
)
def test_a_fan_that_turns_slows_nothing_down(tmp_path: Path, kind: str, status: Status) -> None:
    _zone(tmp_path, 0, "60000", {"passive": 99000})
    _cooling(tmp_path, 0, kind, 2)
    assert CHECK.look(device(tmp_path)).status is status
