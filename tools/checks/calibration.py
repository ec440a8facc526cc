"""Do scores come from a calibration of these very networks?"""

from __future__ import annotations

from daemon.score.calibration import load_calibration
from tools.checks.finding import Check, Device, Finding, well


def _look(device: Device) -> Finding:
    settings = device.load().inference
    networks = device.networks()
    path = settings.networks / settings.recognition / "calibration.yaml"
    load_calibration(path, networks.detection.model_hash, networks.recognition.model_hash)
    return well("the calibration is of the networks that are loaded", calibration=str(path))


CHECK = Check("calibration", "Do scores come from a calibration of these very networks?", _look, within_s=8.0)
