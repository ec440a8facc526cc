"""The units say what systemd knows and close as much as they did: nothing is silently ignored or silently lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, need

SYSTEMD = REPOSITORY / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.iterdir() if path.suffix in (".service", ".socket", ".timer"))
DROP_INS = {
    "cpu.conf": ("faceverifyd.service", "faceverifyd-engines.service"),
    "jetson.conf": ("faceverifyd.service", "faceverifyd-engines.service"),
    "jetpack6.conf": ("faceverifyd.service",),
}
"""Drop-in to the units that it is for."""

EXPOSURE = Path(__file__).with_name("exposure.json")
"""What `systemd-analyze security` finds open, by unit and drop-ins: `overall` and the share of each directive."""

AT_MOST = {
    "faceverifyd.service": 1.9,
    "faceverifyd.service cpu.conf": 1.9,
    "faceverifyd.service jetson.conf jetpack6.conf": 2.0,
    "faceverifyd-engines.service": 1.9,
    "faceverifyd-doctor.service": 4.2,
}
"""The bar. The engines' unit may reach the network, the doctor is root."""

NEWER_THAN_249 = {
    "LoadCredentialEncrypted": 250,
    "SetCredentialEncrypted": 250,
    "RestrictFileSystems": 250,
    "RestrictNetworkInterfaces": 250,
    "ExitType": 250,
    "ExecSearchPath": 250,
    "RuntimeRandomizedExtraSec": 250,
    "TTYRows": 250,
    "TTYColumns": 250,
    "StartupAllowedCPUs": 250,
    "StartupAllowedMemoryNodes": 250,
    "ConditionMemoryPressure": 250,
    "ConditionCPUPressure": 250,
    "ConditionIOPressure": 250,
    "ExtensionDirectories": 251,
    "ConditionCredential": 252,
    "OpenFile": 253,
    "LogFilterPatterns": 253,
    "MemoryZSwapMax": 253,
    "ImportCredential": 254,
    "RestartSteps": 254,
    "RestartMaxDelaySec": 254,
    "RestartMode": 254,
    "RootEphemeral": 254,
    "MemoryPressureWatch": 254,
    "MemoryPressureThresholdSec": 254,
    "MemoryKSM": 254,
    "DelegateSubgroup": 254,
    "FileDescriptorStorePreserve": 254,
    "PollLimitIntervalSec": 255,
    "PollLimitBurst": 255,
    "SetLoginEnvironment": 255,
    "SurviveFinalKillSignal": 255,
    "CoredumpReceive": 255,
    "NFTSet": 255,
    "PrivatePIDs": 257,
    "DeferReactivation": 257,
}
"""Settings of units to the version that brought them. Source: systemd's NEWS, 250 to 257."""

KNOWN_TO_BE_IGNORED = {("faceverifyd.service", "LoadCredentialEncrypted")}
"""jetpack6.conf has what takes its place."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A root with the units, the targets that they name, and something where their programs are."""
    need("systemd-analyze", shutil.which("systemd-analyze") is not None)
    system = tmp_path / "usr" / "lib" / "systemd" / "system"
    system.mkdir(parents=True)
    for kind in ("*.target", "*.slice", "*.mount"):
        for path in Path("/usr/lib/systemd/system").glob(kind):
            shutil.copy(path, system)
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for name in UNITS:
        shutil.copy(SYSTEMD / name, units)
    for program in ("opt/faceverifyd/current/venv/bin/python", "opt/faceverifyd/current/venv/bin/fvctl", "bin/sh"):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    return tmp_path


def _drop_in(root: Path, unit: str, name: str) -> None:
    folder = root / "etc" / "systemd" / "system" / f"{unit}.d"
    folder.mkdir(exist_ok=True)
    shutil.copy(SYSTEMD / name, folder)


def _verified(root: Path) -> str:
    """What systemd has to say about the units; it ends with 0 also where it ignores what it does not know."""
    command = ["systemd-analyze", "verify", "--recursive-errors=no", f"--root={root}", *UNITS]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_systemd_has_nothing_to_say_about_the_units(installed: Path) -> None:
    assert _verified(installed) == ""


@pytest.mark.parametrize("name", DROP_INS)
def test_systemd_has_nothing_to_say_about_a_drop_in(installed: Path, name: str) -> None:
    for unit in DROP_INS[name]:
        _drop_in(installed, unit, name)
    assert _verified(installed) == ""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("RemoveIPC=", "RemoveICP="), "Unknown key 'RemoveICP'"),
        (lambda text: text.replace("ProtectProc=invisible", "ProtectProc=hidden"), "Failed to parse"),
        (lambda text: text.replace("bin/fvctl doctor", "bin/doctor"), "is not executable"),
    ],
)
def test_what_systemd_would_ignore_is_found(installed: Path, change: Callable[[str], str], complaint: str) -> None:
    unit = installed / "etc" / "systemd" / "system" / "faceverifyd.service"
    unit.write_text(change(unit.read_text("utf-8")), "utf-8")
    assert complaint in _verified(installed)


def test_every_drop_in_is_tested() -> None:
    assert {path.name for path in SYSTEMD.glob("*.conf")} - set(DROP_INS) == {
        "faceverifyd.sysusers.conf",
        "faceverifyd.tmpfiles.conf",
    }


def test_the_readme_names_every_file() -> None:
    readme = (SYSTEMD / "README.md").read_text("utf-8")
    assert [
        path.name for path in SYSTEMD.iterdir() if f"`{path.name}`" not in readme and path.name != "README.md"
    ] == []


def _exposure(root: Path, case: str) -> dict[str, float]:
    unit, *drop_ins = case.split()
    for name in drop_ins:
        _drop_in(root, unit, name)
    command = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit]
    table = subprocess.run([*command, "--json=short"], capture_output=True, text=True, check=True).stdout
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    assert overall
    found = {"overall": float(overall[1])}
    return found | {row["name"]: float(row["exposure"]) for row in json.loads(table) if row["exposure"]}


@pytest.mark.parametrize("case", AT_MOST)
def test_the_units_close_what_they_closed(installed: Path, case: str) -> None:
    found, known = _exposure(installed, case), json.loads(EXPOSURE.read_text("utf-8"))[case]
    opened = {name: share for name, share in found.items() if share > known.get(name, 0.0)}
    closed = {name: share for name, share in known.items() if found.get(name, 0.0) < share}
    assert opened == {}, "lost; if that is meant, write it into exposure.json"
    assert closed == {}, "gained: write it into exposure.json, so that it is not lost again"
    assert found["overall"] <= AT_MOST[case]


def _settings(name: str) -> set[str]:
    return set(re.findall(r"^([A-Z]\w+)=", (SYSTEMD / name).read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", [*UNITS, *DROP_INS])
def test_systemd_249_of_jetpack_6_knows_every_setting(name: str) -> None:
    ignored = {(name, setting) for setting in _settings(name) & set(NEWER_THAN_249)}
    assert ignored <= KNOWN_TO_BE_IGNORED


def test_the_reason_of_every_line_that_closes_something_stands_above_it() -> None:
    text = (SYSTEMD / "faceverifyd.service").read_text("utf-8")
    blocks = re.findall(r"((?:^#.*\n)*)((?:^[A-Z]\w+=.*\n)+)", text.partition("[Service]")[2], re.MULTILINE)
    bare = [settings for reason, settings in blocks if not reason]
    assert [line for settings in bare for line in settings.splitlines() if _closes(line)] == []


def _closes(line: str) -> bool:
    return (
        re.match(r"(NoNew|Capab|Protect|Private|Device|Restrict(?!art)|System|IPAddress|Limit|Coredump)", line)
        is not None
    )
