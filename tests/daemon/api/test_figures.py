"""What Prometheus is told of the device as it is now."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.api.about import About, Engine
from daemon.api.admission import Turnstile
from daemon.api.condition import Condition
from daemon.api.figures import Figures, Lost
from daemon.app import watched_ring
from daemon.audit import Metrics
from daemon.config import Admission, Config, load_config
from daemon.sealed.keys import KeyKind, KeyState
from daemon.sealed.keystore import STORE_FILE
from tests.conftest import Site
from tests.terminals import ADDED, certificate_proof, registry_of, terminal
from tools.key_changes import adding
from tools.key_making import make_key
from tools.key_store import Operation
from tools.keys import key_store

ABOUT = About(
    "0.2.0",
    "3.12.7",
    "1.23.2",
    (Engine("yunet", "tensorrt", "49f0", "87fe", "2026"),),
    "9d1f",
    "2026-11-22",
    ADDED,
    "tensorrt",
)
LAST_DAY = date(2036, 1, 1)
LAST_DAY_S = 2082758400.0
"""2036-01-01 00:00 UTC in Unix seconds: 24,106 days of 86,400 s."""


@pytest.fixture
def config(tmp_path: Path, engines: Path) -> Config:
    """A site of this test's own, with one key that ends; its engines are not looked at."""
    config = load_config(Site(tmp_path, engines).write())
    keys, _ = key_store(config)
    key = make_key(KeyKind.X25519)
    keys.change(Operation("add", key.kid), adding(key, KeyState.ACTIVE, LAST_DAY))
    return config


@pytest.fixture
def figures(config: Config) -> Figures:
    """A device whose parts are real but for its engines."""
    ends = [datetime(2036, 1, day, 12, tzinfo=timezone.utc) for day in (2, 1)]
    terminals = [terminal(f"till-{end.day}", certificate_proof(str(end.day) * 64, end)) for end in ends]
    registry = registry_of(config.keys.store.parent / "terminals.yaml", *terminals)
    turnstile = Turnstile(Admission(4, 28, 10.0), lambda: 0.0)
    ring, sealed = watched_ring(config), config.sealed
    condition = Condition((), ring, sealed, registry, None, None, turnstile, lambda: ("weak",))
    return Figures(ABOUT, condition, turnstile, Lost(lambda: 5, lambda: 6))


def _samples(figures: Figures) -> dict[tuple[str, ...], float]:
    """Value by name and label values in the order of their labels' names, read by Prometheus' own parser."""
    families = text_string_to_metric_families(Metrics(figures.readings).exposition().decode())
    return {
        (
            sample.name.removeprefix("faceverifyd_"),
            *(sample.labels[name] for name in sorted(sample.labels)),
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_the_device_is_made_of_is_in_labels(figures: Figures) -> None:
    samples = _samples(figures)
    assert samples["build_info", "1.23.2", "3.12.7", "0.2.0"] == 1
    assert samples["engine_info", "tensorrt", "49f0", "87fe", "yunet"] == 1
    assert samples["calibration_info", "9d1f", "2026-11-22"] == 1


def test_a_device_that_serves_is_ready(figures: Figures) -> None:
    assert _samples(figures)["ready",] == 1


def test_a_device_that_does_not_serve_says_why(figures: Figures, config: Config) -> None:
    (config.keys.store / STORE_FILE).chmod(0o644)
    samples = _samples(figures)
    assert (samples["ready",], samples["not_ready", "keys_unreadable"]) == (0, 1)


def test_the_queue_is_told_as_it_is(figures: Figures) -> None:
    with figures.turnstile.admit():
        samples = _samples(figures)
    assert (samples["requests_running",], samples["requests_running_limit",]) == (1, 4)
    assert (samples["requests_waiting",], samples["requests_waiting_limit",]) == (0, 28)


def test_what_is_lost_is_counted(figures: Figures) -> None:
    samples = _samples(figures)
    assert (samples["journal_lines_lost_total",], samples["decoder_processes_lost_total",]) == (5, 6)
    assert samples["warning", "weak"] == 1


def test_what_ends_is_told_by_its_day_and_of_terminals_the_first_alone(figures: Figures) -> None:
    samples = _samples(figures)
    assert [value for (name, *_), value in samples.items() if name == "key_expiry_timestamp_seconds"] == [LAST_DAY_S]
    assert samples["certificate_expiry_timestamp_seconds", "terminals"] == LAST_DAY_S


def test_a_name_is_told_also_where_it_has_no_sample(figures: Figures) -> None:
    text = Metrics(figures.readings).exposition().decode()
    for name in ("not_ready", "temperature_celsius", "service_memory_bytes"):
        assert f"# TYPE faceverifyd_{name} gauge\n" in text
