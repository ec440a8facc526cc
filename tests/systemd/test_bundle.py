"""The bundle of a device that serves: systemd's units, the journal and the metrics are in it, and its name is not."""

from __future__ import annotations

import json

from tests.systemd.appliance import FVCTL
from tests.systemd.machine import SERVICE, SOCKET, Machine


def test_the_bundle_has_units_journal_and_metrics_but_no_name_of_the_device(device: Machine) -> None:
    device.get("/nowhere")
    printed = device.run(FVCTL, "support-bundle", "--preview", "--json")
    files = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])  # between lines of progress
    units = json.loads(files["units.json"])
    assert (units[SERVICE]["ActiveState"], units[SERVICE]["NRestarts"]) == ("active", 0)
    assert units[SERVICE]["StatusText"] == "serving: keys opened, engines proven"
    assert units[SOCKET]["SubState"] == "running"
    assert "faceverifyd_ready{} 1.0" in files["metrics.txt"]
    events = [json.loads(line) for line in files["journal.jsonl"].splitlines()]
    assert any({"route": "none", "status": 404, "code": 2000}.items() <= event.items() for event in events)
    host = device.run("hostname").strip()
    assert not [name for name, text in files.items() if host in text]
