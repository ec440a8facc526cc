"""Alert rules and dashboard ask for what a real daemon tells; each rule fires when it should and at no other time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import REPOSITORY, need
from tests.running_daemon import RunningDaemon
from tools.cli import parser
from tools.examples import commands_of

MONITORING = REPOSITORY / "systemd" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
}
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS if panel["type"] != "logs" for target in panel["targets"]]

PROMETHEUS_OWN = {"up"}
"""What Prometheus itself says of each device that it asks."""

_DAY_S = 86400


def _answers(code: int) -> str:
    return f'faceverifyd_answers_total{{{{instance="{{0}}", route="/identity/x", code="{code}"}}}}'


def _requests(edge: str) -> str:
    return f'faceverifyd_request_duration_seconds_bucket{{{{instance="{{0}}", route="/identity/x", le="{edge}"}}}}'


CASES: dict[str, list[tuple[str, str, str]]] = {
    "Down": [('up{{job="faceverifyd", instance="{0}"}}', "0x120", "1x120")],
    "NotReady": [('faceverifyd_ready{{instance="{0}"}}', "0x120", "1x120")],
    "InternalErrors": [(_answers(5000), "0x110 1x10", "7x120")],
    "Overloaded": [(_answers(5003), "0+3x120", "0+1x120"), (_answers(1000), "0+97x120", "0+99x120")],
    "Slow": [
        (_requests("1"), "0+80x120", "0+96x120"),
        (_requests("2.5"), "0+90x120", "0+99x120"),
        (_requests("+Inf"), "0+100x120", "0+100x120"),
    ],
    "QueueLong": [
        ('faceverifyd_requests_waiting{{instance="{0}"}}', "15x120", "13x120"),
        ('faceverifyd_requests_waiting_limit{{instance="{0}"}}', "28x120", "28x120"),
    ],
    "DecodersLost": [('faceverifyd_decoder_processes_lost_total{{instance="{0}"}}', "0x110 8x10", "0x110 3x10")],
    "JournalLosesLines": [('faceverifyd_journal_lines_lost_total{{instance="{0}"}}', "0x110 1x10", "9x120")],
    "KeyEnds": [
        ('faceverifyd_key_expiry_timestamp_seconds{{instance="{0}"}}', f"{29 * _DAY_S}x120", f"{31 * _DAY_S}x120")
    ],
    "CertificateEnds": [
        (
            'faceverifyd_certificate_expiry_timestamp_seconds{{instance="{0}"}}',
            f"{29 * _DAY_S}x120",
            f"{31 * _DAY_S}x120",
        )
    ],
    "Weak": [('faceverifyd_warning{{instance="{0}"}}', "1x120", "_x60 1x30 _x30")],
    "Hot": [('faceverifyd_temperature_celsius{{instance="{0}"}}', "91x120", "89x120")],
    "MemoryHigh": [('faceverifyd_service_memory_bytes{{instance="{0}"}}', "3300000000x120", "3100000000x120")],
    "Restarts": [
        (
            'process_start_time_seconds{{job="faceverifyd", instance="{0}"}}',
            "1x70 2x10 3x10 4x30",
            "1x70 2x10 3x40",
        )
    ],
    "FewFaces": [(_answers(4000), "0+4x120", "0+2x120"), (_answers(1000), "0+6x120", "0+8x120")],
    "UnknownTerminals": [(_answers(1100), "0+2x120", "0+1x120")],
    "MixedAccelerators": [
        ('faceverifyd_engine_info{{instance="{0}", network="sface", accelerator="tensorrt"}}', "1x120", "1x120"),
        ('faceverifyd_engine_info{{instance="{0}", network="yunet", accelerator="cpu"}}', "1x120", "_x120"),
    ],
}
"""Rule to its series, by the minute: of a device for which it must fire after two hours, and of one for which not."""


@pytest.fixture(scope="module", autouse=True)
def promtool() -> None:
    """Prometheus' own checker."""
    need("promtool", shutil.which("promtool") is not None)


def _promtool(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return (done.stdout + done.stderr).decode()


def test_every_rule_has_a_case_and_says_what_to_do() -> None:
    assert {f"Faceverifyd{name}" for name in CASES} == set(RULES)
    assert [name for name, rule in RULES.items() if set(rule["annotations"]) != {"summary", "remedy"}] == []


def test_each_rule_fires_for_the_sick_device_and_not_for_the_well_one(tmp_path: Path) -> None:
    tests = [_test_of(f"Faceverifyd{name}", series) for name, series in CASES.items()]
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "5m", "tests": tests}
    path = tmp_path / "alerts_test.yaml"
    path.write_text(yaml.safe_dump(document))
    assert "SUCCESS" in _promtool("test", "rules", str(path))


def _test_of(name: str, series: list[tuple[str, str, str]]) -> dict[str, Any]:
    given = [
        {"series": text.format(instance), "values": values}
        for text, sick, well in series
        for instance, values in (("sick", sick), ("well", well))
    ]
    (labels,) = ({"instance": "sick"} | _kept(RULES[name]["expr"], series[0][0]),)
    expected = {"exp_labels": RULES[name]["labels"] | labels, "exp_annotations": RULES[name]["annotations"]}
    rule_test = {"eval_time": "2h", "alertname": name, "exp_alerts": [expected]}
    return {"name": name, "interval": "1m", "input_series": given, "alert_rule_test": [rule_test]}


def _kept(expression: str, series: str) -> dict[str, str]:
    """Labels that a rule leaves on its alert besides the device's: all that the series has, unless it sums them up."""
    return {} if " by (" in expression else dict(re.findall(r'(job)="(\w+)"', series))


def test_a_rule_that_never_fires_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "alerts.yaml"
    broken.write_text(ALERTS.read_text("utf-8").replace("faceverifyd_ready == 0", "faceverifyd_ready == 2"))
    document = {
        "rule_files": [str(broken)],
        "evaluation_interval": "5m",
        "tests": [_test_of("FaceverifydNotReady", CASES["NotReady"])],
    }
    path = tmp_path / "alerts_test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, check=False)
    assert done.returncode != 0


def test_prometheus_reads_its_configuration() -> None:
    _promtool("check", "config", "--syntax-only", str(MONITORING / "prometheus.yaml"))


def test_promtool_has_nothing_to_say_about_a_daemons_metrics(daemon: RunningDaemon) -> None:
    assert _promtool("check", "metrics", given=daemon.get("/metrics").body) == ""


def _told(daemon: RunningDaemon) -> set[str]:
    """Every name that a daemon tells, with and without samples."""
    told: set[str] = set()
    for family in text_string_to_metric_families(daemon.get("/metrics").body.decode()):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        told |= {family.name + ending for ending in endings}
    return told


def _named(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:faceverifyd|process)_[a-z_]+|\bup\b", re.sub(r'"[^"]*"|by \([^)]*\)', "", expression)))


def test_every_metric_that_is_asked_for_is_told(daemon: RunningDaemon) -> None:
    asked = set().union(*(_named(text) for text in [*EXPRESSIONS, *(rule["expr"] for rule in RULES.values())]))
    assert len(asked) > 20
    assert asked - _told(daemon) - PROMETHEUS_OWN == set()


def test_every_metric_of_ours_is_asked_for_by_the_dashboard(daemon: RunningDaemon) -> None:
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in _told(daemon) if name.startswith("faceverifyd_")}
    asked = {re.sub(r"_bucket$", "", name) for text in EXPRESSIONS for name in _named(text)}
    assert ours - asked == set()


def test_prometheus_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    plain = [text.replace("$instance", ".*").replace("$__rate_interval", "5m") for text in EXPRESSIONS]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(plain)]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in _promtool("check", "rules", str(path))


def test_no_two_panels_share_an_id_or_a_place() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24  # Grafana's grid


def test_the_readme_names_every_file_and_metric(daemon: RunningDaemon) -> None:
    readme = (MONITORING / "README.md").read_text("utf-8")
    assert [
        path.name for path in MONITORING.iterdir() if path.name not in (*re.findall(r"`(\S+)`", readme), "README.md")
    ] == []
    ours = {
        re.sub(r"_(bucket|sum|count|limit)$", "", name) for name in _told(daemon) if name.startswith("faceverifyd_")
    }
    assert {name for name in ours if name not in readme} <= {"faceverifyd_requests_running"}


def test_every_command_that_a_rule_says_is_one() -> None:
    said = set(re.findall(r"fvctl ([a-z-]+)", ALERTS.read_text("utf-8")))
    assert said - {words for words, _ in commands_of(parser())} == set()
