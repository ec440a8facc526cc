"""What the kernel tells is read as its documentation says, and where it tells nothing, nothing is made up."""

from __future__ import annotations

from pathlib import Path

from daemon.machine import service_memory_bytes, temperatures_c


def _zone(folder: Path, number: int, name: str, temperature: str | None) -> None:
    zone = folder / f"thermal_zone{number}"
    zone.mkdir()
    (zone / "type").write_text(f"{name}\n")
    if temperature is not None:
        (zone / "temp").write_text(f"{temperature}\n")


def test_temperatures_are_in_degrees_and_the_warmest_of_a_name_counts(tmp_path: Path) -> None:
    for number, (name, temperature) in enumerate([("cpu", "51500"), ("cpu", "49000"), ("cold", "-5000")]):
        _zone(tmp_path, number, name, temperature)
    assert temperatures_c(tmp_path) == {"cpu": 51.5, "cold": -5.0}


def test_a_sensor_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    _zone(tmp_path, 0, "gpu", None)
    _zone(tmp_path, 1, "pmic", "no number")
    assert temperatures_c(tmp_path) == {}


def test_a_machine_without_sensors_has_no_temperature(tmp_path: Path) -> None:
    assert temperatures_c(tmp_path / "none") == {}


def test_memory_is_that_of_the_services_own_group(tmp_path: Path) -> None:
    own, group = tmp_path / "cgroup", tmp_path / "system.slice" / "faceverifyd.service"
    group.mkdir(parents=True)
    own.write_text("0::/system.slice/faceverifyd.service\n")
    (group / "memory.current").write_text("734003200\n")
    assert service_memory_bytes(own, tmp_path) == 734003200


def test_without_a_group_of_its_own_the_memory_is_not_known(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    for line in ("0::/\n", "7:memory:/somewhere\n", "0::/gone.service\n", ""):
        own.write_text(line)
        assert service_memory_bytes(own, tmp_path) is None
