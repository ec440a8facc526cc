"""Whatever a unit loses is named; what a site may add is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tools.checks.devices import device
from tools.checks.finding import Finding, Status
from tools.checks.hardening import CHECK
from tools.unit_files import SHIPPED, settings

UNIT = "faceverifyd.service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    units = tmp_path / "etc/systemd/system"
    (units / f"{UNIT}.d").mkdir(parents=True)
    for path in SHIPPED.glob("*.service"):
        shutil.copy(path, units)
    shutil.copy(SHIPPED / "cpu.conf", units / f"{UNIT}.d")
    return tmp_path


def _drop_in(root: Path, text: str) -> Finding:
    (root / f"etc/systemd/system/{UNIT}.d/site.conf").write_text(f"[Service]\n{text}\n")
    return CHECK.look(device(root))


def test_the_units_as_shipped_are_well(root: Path) -> None:
    assert CHECK.look(device(root)).status is Status.OK


def test_without_units_it_is_no_matter(tmp_path: Path) -> None:
    assert CHECK.look(device(tmp_path)).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    "text",
    [
        "IPAddressAllow=192.0.2.0/24",
        "ReadWritePaths=/srv/exchange",
        "Environment=SOFTHSM2_CONF=/etc/softhsm.conf",
        "TimeoutStartSec=600",
        "TasksMax=1024",
    ],
)
def test_what_a_site_may_add_is_no_finding(root: Path, text: str) -> None:
    assert _drop_in(root, text).status is Status.OK


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ProtectSystem=full", "ProtectSystem=strict is now full"),
        ("CapabilityBoundingSet=CAP_NET_ADMIN", "CapabilityBoundingSet= is now CAP_NET_ADMIN"),
        ("SystemCallFilter=", "SystemCallFilter=@system-service ~@privileged is now empty"),
        ("RestrictAddressFamilies=AF_PACKET", "is now AF_UNIX AF_INET AF_INET6 AF_PACKET"),
        ("IPAddressDeny=", "IPAddressDeny=any is now empty"),
        ("MemorySwapMax=infinity", "MemorySwapMax=0 is now infinity"),
        ("MemoryDenyWriteExecute=no", "MemoryDenyWriteExecute=yes is now no"),
        ("PrivateDevices=no", "PrivateDevices=yes is now no"),
    ],
)
def test_what_a_drop_in_opens_is_named_with_the_drop_in(root: Path, text: str, seen: str) -> None:
    finding = _drop_in(root, text)
    assert (finding.status, seen in " ".join(finding.seen.split())) == (Status.NEEDS_DOING, True), finding.seen
    assert "site.conf" in finding.remedy


@pytest.mark.parametrize("name", ["NoNewPrivileges", "LimitCORE", "CoredumpFilter", "ProtectClock", "PrivateUsers"])
def test_each_line_that_is_lost_is_named(root: Path, name: str) -> None:
    assert name in settings([SHIPPED / UNIT])
    unit = root / "etc/systemd/system" / UNIT
    unit.write_text("".join(line for line in unit.read_text().splitlines(True) if not line.startswith(f"{name}=")))
    finding = CHECK.look(device(root))
    assert f"{UNIT}: {name}=" in finding.seen
    assert finding.remedy.startswith(f"cp {SHIPPED / UNIT} {unit}")
