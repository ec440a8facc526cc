"""A Jetson in a mode below its own, or with a weak supply, is told from one that is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.checks.devices import device, lay_out
from tools.checks.finding import Status
from tools.checks.power import CHECK

MODES = "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=MODE_15W >\n< POWER_MODEL ID=2 NAME=MODE_30W >\n"


@pytest.mark.parametrize(
    ("default", "mode", "status"),
    [
        (2, "pmode:0002", Status.OK),
        (2, "pmode:0000 fmode:quiet", Status.OK),  # all there is
        (2, "pmode:0001", Status.NEEDS_DOING),
        (0, "pmode:0002", Status.NEEDS_DOING),
        (2, "", Status.OK),  # never set: the usual one
    ],
)
def test_less_than_the_usual_mode_is_told(tmp_path: Path, default: int, mode: str, status: Status) -> None:
    lay_out(tmp_path, etc__nvpmodel_conf="")
    (tmp_path / "etc/nvpmodel.conf").write_text(f"{MODES}< PM_CONFIG DEFAULT={default} >\n")
    lay_out(tmp_path, var__lib__nvpmodel__status=mode)
    finding = CHECK.look(device(tmp_path))
    assert finding.status is status
    assert finding.remedy == ("" if status is Status.OK else f"nvpmodel -m {default}")


def test_a_machine_without_power_modes_is_no_matter(tmp_path: Path) -> None:
    assert CHECK.look(device(tmp_path)).status is Status.NOT_APPLICABLE
