"""The release that serves is told from one that was never finished, and from a link that leads elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from tests.tools.checks.devices import device
from tools.checks.finding import Finding, Status
from tools.checks.release import CHECK
from tools.releases.layout import Layout
from tools.releases.state import Operation, State, Step

PROVEN = State("0.2.0", "0.1.0", "0.1.0", "2026-11-25T12:00:00+00:00", ("0.3.0",), None)
TRYING = Operation("install", "0.3.0", "0.2.0", "/media/stick", Step.GATE, "2026-11-25T12:00:00+00:00", "")


def _asked(root: Path, state: State, serves: str) -> Finding:
    layout = Layout(root)
    layout.make_folders()
    layout.current.symlink_to(layout.release(serves))
    (layout.state / "state.json").write_text(json.dumps(asdict(state)))
    return CHECK.look(device(root))


def test_a_release_that_has_proven_itself_is_well_and_told_with_what_there_is_besides(tmp_path: Path) -> None:
    finding = _asked(tmp_path, PROVEN, "0.2.0")
    assert finding.status is Status.OK
    assert finding.evidence == {
        "serves": "0.2.0",
        "previous": "0.1.0",
        "floor": "0.1.0",
        "failed": ["0.3.0"],
        "held": False,
    }


def test_a_device_that_is_held_back_says_so(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make_folders()
    layout.hold.touch()
    assert _asked(tmp_path, PROVEN, "0.2.0").evidence["held"] is True


def test_a_change_that_was_not_finished_is_to_be_gone_on_with(tmp_path: Path) -> None:
    finding = _asked(tmp_path, replace(PROVEN, operation=TRYING), "0.3.0")
    assert (finding.status, finding.remedy) == (Status.NEEDS_DOING, "fvctl release resume")
    assert "0.3.0" in finding.seen
    assert "gate" in finding.seen


def test_a_link_that_leads_to_what_has_not_proven_itself_is_to_be_turned_back(tmp_path: Path) -> None:
    finding = _asked(tmp_path, PROVEN, "0.3.0")
    assert finding.status is Status.NEEDS_DOING
    layout = Layout(tmp_path)
    assert f"ln -sfnT {layout.release('0.2.0')} {layout.current}" in finding.remedy


def test_a_device_on_which_none_has_proven_itself_is_to_get_one(tmp_path: Path) -> None:
    finding = _asked(tmp_path, replace(PROVEN, current=None), "0.2.0")
    assert (finding.status, finding.remedy) == (Status.NEEDS_DOING, "fvctl release install")


def test_without_releases_it_is_no_matter(tmp_path: Path) -> None:
    assert CHECK.look(device(tmp_path)).status is Status.NOT_APPLICABLE
