"""What the device is made of: release, engines and calibration, by ids that `/metrics` and `/status` show."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from daemon import __version__
from daemon.config import Inference
from daemon.inference.engine import RECORD_FILE, EngineRecord
from daemon.inference.network import OnnxNetwork
from daemon.inference.platform import ONNXRUNTIME_VERSION
from daemon.score.calibration import CalibrationRecord
from daemon.yaml_file import read_yaml

ID_DIGITS = 16
"""So many hex digits of a hash name an engine, a model or a calibration: 64 bits, for one of a handful."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine that serves.

    Attributes:
        network: its name.
        accelerator: what it really runs on.
        engine: id of what was built.
        model: id of the model that it was built from.
        built_utc: when, ISO 8601.
    """

    network: str
    accelerator: str
    engine: str
    model: str
    built_utc: str


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the daemon runs; `asked` is the accelerator that the configuration names."""

    release: str
    python: str
    onnxruntime: str
    engines: tuple[Engine, ...]
    calibration: str
    calibrated_utc: str
    started_utc: datetime
    asked: str


def calibration_path(settings: Inference) -> Path:
    """The calibration of the configured recognition network."""
    return settings.networks / settings.recognition / "calibration.yaml"


def about_device(settings: Inference, networks: Iterable[OnnxNetwork]) -> About:
    """What the device is made of, as its files say now that they have been proven.

    Raises:
        ConfigurationRefused: a file of an engine or the calibration went away meanwhile.
    """
    calibration = calibration_path(settings)
    record = read_yaml(calibration, CalibrationRecord)
    return About(
        release=__version__,
        python=platform.python_version(),
        onnxruntime=ONNXRUNTIME_VERSION,
        engines=tuple(_engine(settings, network) for network in networks),
        calibration=hashlib.sha256(calibration.read_bytes()).hexdigest()[:ID_DIGITS],
        calibrated_utc=record.made_utc,
        started_utc=datetime.now(timezone.utc),
        asked=settings.accelerator.value,
    )


def _engine(settings: Inference, network: OnnxNetwork) -> Engine:
    name = network.manifest.name
    record = read_yaml(settings.engines / name / RECORD_FILE, EngineRecord)
    ids = (record.identity[:ID_DIGITS], network.model_hash[:ID_DIGITS])
    return Engine(name, network.accelerator.value, *ids, record.built_utc)
