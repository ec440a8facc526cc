"""What goes into a support bundle: an allow-list. What is not named here stays on the device.

Each part is made by itself: where one cannot be, it says why, and the others are made all the same.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.api.registry import SubjectProof, load_registry
from daemon.config import Config
from daemon.errors import ConfigurationRefused, DeviceError
from daemon.score.calibration import CalibrationRecord
from daemon.sealed.keystore import STORE_FILE
from daemon.yaml_file import read_yaml
from tools.reaching import own_connection
from tools.service_manager import SERVICE, SOCKET, shown
from tools.support_bundle_journal import redacted
from tools.support_bundle_names import Pseudonyms

_UNITS = (SERVICE, SOCKET, "faceverifyd-engines.service", "faceverifyd-doctor.timer")
_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "ActiveEnterTimestampMonotonic",
    "InactiveEnterTimestampMonotonic",
    "MemoryCurrent",
    "MemoryPeak",
    "TasksCurrent",
    "StatusText",
)
"""Source: org.freedesktop.systemd1(5)."""

_VERSION = re.compile(r"[A-Za-z0-9.+~_-]{1,40}")
_SHORT_ID = re.compile(r"[0-9a-f]{16}")
_SAMPLE = re.compile(r"((?:faceverifyd|process)_[a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+|NaN|[+-]Inf)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Part = Callable[[], str]
"""Makes one part's text; raises DeviceError where it cannot be made."""


@dataclass(frozen=True, slots=True)
class Box:
    """What parts are made from.

    Attributes:
        load: gives the configuration, or raises what is wrong with it.
        doctor: gives doctor's answers as rows.
        journal: gives the journal's lines.
        names: gives the pseudonyms.
    """

    load: Callable[[], Config]
    doctor: Callable[[], list[dict[str, Any]]]
    journal: Callable[[], Iterable[str]]
    names: Pseudonyms

    def parts(self) -> dict[str, Part]:
        """Every part of a bundle, by its file's name."""
        return {
            "versions.json": lambda: _json(_versions()),
            "configuration.json": lambda: _json(self.names.value(self.load())),
            "doctor.json": lambda: _json(self.names.value(self.doctor())),
            "engines.json": lambda: _json(self._engines()),
            "calibration.json": lambda: _json(self._calibration()),
            "units.json": lambda: _json(self._units()),
            "metrics.txt": self._metrics,
            "journal.jsonl": lambda: "".join(
                json.dumps(event) + "\n" for event in redacted(self.journal(), self.names)
            ),
        }

    def learn_names(self) -> None:
        """Everything on the device that has a name of its own gets a pseudonym, wherever it turns up."""
        names = self.names
        host = socket.gethostname()
        names.learn("host", *({host, host.partition(".")[0]} - {"localhost", ""}))
        names.learn("user", *({os.environ.get(name, "") for name in ("SUDO_USER", "USER", "LOGNAME")} - {"root"}))
        with suppress(OSError):
            names.learn("id", Path("/etc/machine-id").read_text("ascii").strip())
        with suppress(DeviceError):
            names.learn("terminal", *_terminals(self.load()))
        with suppress(DeviceError):
            names.learn("key", *_keys(self.load()))
        with suppress(DeviceError):
            token = self.load().keys.pkcs11
            names.learn("word", *((token.token, token.key) if token else ()))

    def _engines(self) -> list[dict[str, Any]]:
        # Here: where onnxruntime cannot even be loaded, the other parts are made all the same.
        from daemon.api.about import ID_DIGITS
        from daemon.inference.engine import RECORD_FILE, EngineRecord

        settings = self.load().inference
        found = []
        for name in (settings.detection, settings.recognition):
            record = read_yaml(settings.engines / name / RECORD_FILE, EngineRecord)
            told = {"network": name, "asked": record.asked, "checks": record.checks, "built_utc": record.built_utc}
            basis = {"accelerator": record.basis.accelerator.value, "precision": record.basis.precision.value}
            ids = {"engine": record.identity[:ID_DIGITS], "model": record.model_hash[:ID_DIGITS]}
            platforms = {"made_on": record.basis.platform, "asked_for": record.asked_platform}
            found.append(self.names.value(told) | basis | ids | {key: _platform(on) for key, on in platforms.items()})
        return found

    def _calibration(self) -> dict[str, Any]:
        """All of it but the map."""
        from daemon.api.about import ID_DIGITS, calibration_path  # here, as above

        record = read_yaml(calibration_path(self.load().inference), CalibrationRecord)
        names = ("tool", "made_utc", "data", "error_rates", "counted_to")
        told: dict[str, Any] = self.names.value({name: getattr(record, name) for name in names})
        return told | {"detection": record.detection[:ID_DIGITS], "recognition": record.recognition[:ID_DIGITS]}

    def _units(self) -> dict[str, Any]:
        return {unit: self._unit(unit) for unit in _UNITS}

    def _unit(self, unit: str) -> dict[str, Any]:
        return {name: self._property(value) for name, value in shown(unit, _PROPERTIES).items()}

    def _property(self, value: str) -> str | int:
        return int(value) if value.isdigit() and len(value) < len(str(1 << 53)) else self.names.text(value)

    def _metrics(self) -> str:
        lines = (self._sample(line) for line in _asked(self.load(), "/metrics").splitlines())
        return "".join(f"{line}\n" for line in lines if line)

    def _sample(self, line: str) -> str:
        """A line of the metrics, the values of its labels said as all texts are; empty where it is no sample."""
        found = _SAMPLE.fullmatch(line)
        if not found:
            return ""
        name, labels, value = found.groups()
        shown = ",".join(f'{label}="{self._label(text)}"' for label, text in _LABEL.findall(labels or ""))
        return f"{name}{{{shown}}} {value}"

    def _label(self, text: str) -> str:
        return text if _SHORT_ID.fullmatch(text) or text == "+Inf" else self.names.text(text)


def _json(document: object) -> str:
    return json.dumps(document, indent=1) + "\n"


def _versions() -> dict[str, Any]:
    packages = {found.metadata["Name"]: found.version for found in metadata.distributions()}
    return {
        "faceverifyd": __version__,
        "python": platform.python_version(),
        "kernel": _version(platform.release()),
        "machine": _version(platform.machine()),
        "system": _system(),
        "packages": {name: _version(version) for name, version in sorted(packages.items()) if _version(name)},
    }


def _system() -> dict[str, str]:
    """Name and version of the system, and of JetPack's base where there is one. Source: os-release(5)."""
    found = {}
    with suppress(OSError):
        given = platform.freedesktop_os_release()
        found = {name: _version(given.get(name, "")) for name in ("ID", "VERSION_ID")}
    with suppress(OSError):
        release = re.match(
            r"# R(\d+) \(release\), REVISION: ([\d.]+)", Path("/etc/nv_tegra_release").read_text("utf-8")
        )
        found["l4t"] = f"{release[1]}.{release[2]}" if release else ""
    return found


def _platform(of: Any) -> dict[str, str]:  # noqa: ANN401 - a Platform, which is not known before onnxruntime is
    """Versions, and the GPU's name as its driver has it."""
    return {name: _version(value.replace(" ", "_")) for name, value in asdict(of).items() if value}


def _version(text: str) -> str:
    """A version, and nothing longer."""
    return text if _VERSION.fullmatch(text) else ""


def _terminals(config: Config) -> list[str]:
    if config.terminals.registry is None:
        return []
    terminals = load_registry(config.terminals.registry).terminals
    subjects = [record.proof.subject for record in terminals if isinstance(record.proof, SubjectProof)]
    return [*(record.name for record in terminals), *subjects]


def _keys(config: Config) -> list[str]:
    """Key ids, and the terminals that have keys of their own; the store is read as it is, without opening it."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        records = json.loads((config.keys.store / STORE_FILE).read_bytes())["keys"]
        return [str(record[name]) for record in records for name in ("kid", "terminal") if record.get(name)]
    return []


def _asked(config: Config, path: str) -> str:
    """What this device's own daemon answers.

    Raises:
        ConfigurationRefused: nobody answers.
    """
    try:
        connection = own_connection(config.server)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read().decode("utf-8", "replace") if response.status == http.HTTPStatus.OK else ""
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise ConfigurationRefused(f"no daemon answers: {type(error).__name__}", "fvctl doctor --only daemon") from None
