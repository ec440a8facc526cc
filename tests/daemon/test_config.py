"""Configuration: every fault is named, nothing is guessed, contradictions are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import Admission, Config, Environment, KekSource, config_path, load_config
from daemon.errors import ConfigurationRefused
from daemon.yaml_file import read_yaml
from tests.conftest import REPOSITORY, Site

BEARER = {"authentication": "bearer", "registry": "/somewhere/terminals.yaml"}
MUTUAL = BEARER | {"authentication": "mutual_tls"}
TLS = {"certificate": "/a/device.pem", "key": "/a/device.key", "terminals_ca": "/a/ca.pem"}
FRESHNESS = {"max_age_s": 60.0, "clock_skew_s": 5.0, "remembered": 1000}


@pytest.fixture
def folder(tmp_path: Path, engines: Path) -> Site:
    """A site of this test's own; its engines are not built."""
    return Site(tmp_path, engines)


def _refusal(path: Path) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        load_config(path)
    return str(refused.value)


def test_the_shipped_file_has_the_contract_s_limits() -> None:
    # Source: the contract: 1 byte to 5 MiB, 8 to 5,000 px, body limit 16 MiB.
    config = read_yaml(REPOSITORY / "systemd" / "faceverifyd.yaml", Config)
    photo = config.photo
    assert (photo.min_side_px, photo.max_side_px, photo.max_bytes) == (8, 5000, 5 * 1024 * 1024)
    assert config.server.body_limit_bytes == 16 * 1024 * 1024


def test_the_shipped_file_loads_with_the_weak_format_off() -> None:
    shipped = load_config(REPOSITORY / "systemd" / "faceverifyd.yaml")
    assert (shipped.sealed.jwe, shipped.sealed.legacy) == (True, False)
    assert (shipped.environment, shipped.keys.kek) == (Environment.PRODUCTION, KekSource.CREDENTIAL)


def test_a_complete_file_loads(folder: Site) -> None:
    assert load_config(folder.write()).admission == Admission(4, 28, 10.0)


def test_an_unknown_key_is_a_fault(folder: Site) -> None:
    text = _refusal(folder.write(photo={"max_side": 7}))
    assert "photo.max_side: " in text
    assert "(seen: 7)" in text


@pytest.mark.parametrize("section", ["server", "management", "terminals", "admission", "sealed", "photo", "inference"])
def test_every_missing_key_is_a_fault(folder: Site, section: str) -> None:
    keys = list(folder.document[section])
    folder.document[section] = {}
    text = _refusal(folder.write())
    assert [key for key in keys if f"{section}.{key}: Field required" not in text] == []


def test_all_faults_are_reported_together_with_path_and_value(folder: Site) -> None:
    text = _refusal(
        folder.write(server={"threads": 1}, admission={"deadline_s": -5}, inference={"accelerator": "abacus"})
    )
    assert "has 3 fault(s)" in text
    for fault in ("server.threads: ", "(seen: 1)", "admission.deadline_s: ", "(seen: -5)", '(seen: "abacus")'):
        assert fault in text


@pytest.mark.parametrize(
    "changes",
    [
        {"admission": {"running": "4"}},
        {"admission": {"running": 4.0}},
        {"admission": {"running": True}},
        {"admission": {"deadline_s": float("inf")}},
        {"admission": {"deadline_s": float("nan")}},
        {"sealed": {"legacy": 1}},
        {"sealed": {"legacy": "yes"}},
        {"server": {"bind": []}},
        {"server": {"bind": "127.0.0.1:3000"}},
        {"management": {"networks": ["127.0.0.0/33"]}},
        {"photo": {"exif_orientation": "never"}},
    ],
)
def test_a_value_of_another_kind_is_not_converted(folder: Site, changes: dict[str, Any]) -> None:
    ((section, values),) = changes.items()
    assert f"{section}.{next(iter(values))}" in _refusal(folder.write(**changes))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert str(tmp_path / "absent.yaml") in _refusal(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"server": {"bind": ["0.0.0.0:3000"]}}, "terminals.authentication"),
        ({"server": {"bind": ["127.0.0.1:3000", "10.0.0.5:3000"]}}, "terminals.authentication"),
        ({"server": {"bind": ["0.0.0.0:3000"]}, "terminals": BEARER}, "server.tls"),
        ({"terminals": {"authentication": "bearer"}}, "terminals.registry"),
        ({"terminals": BEARER | {"authentication": "mutual_tls"}}, "server.tls.terminals_ca"),
        ({"server": {"tls": TLS | {"terminals_ca": None}}, "terminals": MUTUAL}, "server.tls.terminals_ca"),
        ({"sealed": {"legacy": False, "jwe": False}}, "sealed:"),
        ({"sealed": {"jwe": False, "freshness": FRESHNESS}}, "sealed.freshness"),
        ({"environment": "production"}, "keys.kek"),
        ({"keys": {"file": None}}, "keys.file"),
        ({"keys": {"kek": "pkcs11"}}, "keys.pkcs11"),
        ({"photo": {"min_side_px": 5001}}, "photo.min_side_px"),
        ({"admission": {"running": 33}}, "admission.running"),
        ({"admission": {"waiting": 44}}, "admission.running + admission.waiting: 48, must leave a thread"),
        ({"server": {"bodies_limit_bytes": 1000}}, "server.bodies_limit_bytes"),
        ({"server": {"connections": 32}}, "server.connections"),
    ],
)
def test_a_contradiction_is_refused(folder: Site, changes: dict[str, Any], said: str) -> None:
    text = _refusal(folder.write(**changes))
    assert "contradicts itself" in text
    assert said in text


def test_all_contradictions_are_reported_together(folder: Site) -> None:
    text = _refusal(folder.write(photo={"min_side_px": 5001}, admission={"running": 33}))
    assert "photo.min_side_px" in text
    assert "admission.running" in text


@pytest.mark.parametrize("terminals", [BEARER, MUTUAL])
def test_beyond_loopback_known_terminals_and_tls_are_enough(folder: Site, terminals: dict[str, Any]) -> None:
    path = folder.write(server={"bind": ["0.0.0.0:3000"], "tls": TLS}, terminals=terminals)
    assert load_config(path).terminals.registry == Path("/somewhere/terminals.yaml")


def test_an_address_that_nobody_can_listen_on_is_a_fault_with_what_was_seen_and_what_is_expected(folder: Site) -> None:
    text = _refusal(folder.write(server={"bind": ["127.0.0.1:3000", "127.0.0.1"]}))
    assert "has 1 fault(s)" in text
    assert "server.bind: Value error, '127.0.0.1' must be HOST:PORT" in text


def test_the_environment_names_the_file() -> None:
    assert config_path({"FACEVERIFYD_CONFIG": "/a/b.yaml"}) == Path("/a/b.yaml")


def test_without_a_name_the_device_s_own_file_is_taken() -> None:
    assert config_path({}) == Path("/etc/faceverifyd/faceverifyd.yaml")


def test_what_is_written_is_what_is_read(folder: Site) -> None:
    path = folder.write()
    assert load_config(path).photo.max_bytes == yaml.safe_load(path.read_text())["photo"]["max_bytes"]
