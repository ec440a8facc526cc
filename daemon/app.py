"""The composition root: every object is made here, every route is listed here."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import cv2
import falcon

from daemon.api.admission import Turnstile
from daemon.api.credentials import RateLimit, load_credentials
from daemon.api.exchange import Exchange, Gate
from daemon.api.health import Alive, Exposition, OpenApi, Ready
from daemon.api.verification import PATH, Verification
from daemon.audit import Journal, Metrics
from daemon.config import Config, Inference, PhotoLimits
from daemon.errors import ConfigurationRefused, KeyRefused
from daemon.face.detection import FaceDetector
from daemon.face.quality import OcclusionGate
from daemon.face.recognition import Recogniser
from daemon.inference import OnnxNetwork, Target, load_engine
from daemon.manifest import load_manifest
from daemon.photo.decoder import PhotoDecoder
from daemon.photo.isolation import DecoderProcesses, Largest
from daemon.photo.process import Bounds
from daemon.pipeline import Pipeline, Stages
from daemon.score.calibration import load_calibration
from daemon.sealed.legacy import load_legacy_key
from daemon.sealed.opener import Opener, legacy_opener

WsgiApp = falcon.App[falcon.Request, falcon.Response]


@dataclass(frozen=True, slots=True)
class Networks:
    """Both networks, loaded and proven."""

    detection: OnnxNetwork
    recognition: OnnxNetwork


def load_networks(settings: Inference) -> Networks:
    """The networks that the configuration names.

    Raises:
        ConfigurationRefused: a manifest is missing or has faults.
        EngineRefused: an engine is not what it should be.
    """
    # Both photos of a request are detected at the same time, one thread each; their embeddings are one batch.
    return Networks(
        detection=_load_network(settings, settings.detection, 1),
        recognition=_load_network(settings, settings.recognition, settings.threads),
    )


def _load_network(settings: Inference, name: str, threads: int) -> OnnxNetwork:
    manifest = load_manifest(settings.networks / name)
    return load_engine(settings.engines, manifest, Target(settings.accelerator, settings.policy, threads))


def make_detector(networks: Networks) -> FaceDetector:
    """Step 3 for the loaded detection network.

    Raises:
        ConfigurationRefused: its manifest is of another kind of network.
    """
    manifest = networks.detection.manifest
    if manifest.detection is None:
        raise ConfigurationRefused(
            f"network {manifest.name} is no detector", "Name a detection network in inference.detection."
        )
    return FaceDetector(networks.detection, manifest.preprocessing, manifest.detection)


def make_recogniser(networks: Networks) -> Recogniser:
    """Step 5 for the loaded recognition network."""
    return Recogniser(networks.recognition, networks.recognition.manifest.preprocessing)


def make_occlusion_gate(networks: Networks) -> OcclusionGate:
    """Step 6 for the loaded recognition network.

    Raises:
        ConfigurationRefused: its manifest names no occlusion head.
    """
    manifest = networks.recognition.manifest
    if manifest.occlusion is None:
        raise ConfigurationRefused(
            f"network {manifest.name} has no occlusion head", "Name a recognition network in inference.recognition."
        )
    return OcclusionGate(asdict(manifest.occlusion.min_visible))


def make_opener(config: Config) -> Opener:
    """Step 1 for the configured formats.

    Raises:
        KeyRefused: a key is missing, malformed or not allowed.
    """
    if config.sealed.legacy_key is None:
        raise KeyRefused("no key is configured", "Name a key file in sealed.legacy_key.")
    return legacy_opener(load_legacy_key(config.sealed.legacy_key), config.sealed.allow_published_key)


def make_decoder(limits: PhotoLimits) -> PhotoDecoder:
    """Step 2, each photo in a process of its own."""
    bounds = Bounds(limits.decoding_bytes, limits.decoding_s)
    return PhotoDecoder(limits, DecoderProcesses(bounds, Largest(limits.max_bytes, limits.max_side_px)).decode)


def make_stages(config: Config, networks: Networks) -> Stages:
    """All steps that hold something.

    Raises:
        DeviceError: something is missing, damaged or does not fit together; carries a remedy.
    """
    folder = config.inference.networks / config.inference.recognition
    hashes = (networks.detection.model_hash, networks.recognition.model_hash)
    return Stages(
        opener=make_opener(config),
        decoder=make_decoder(config.photo),
        detector=make_detector(networks),
        recogniser=make_recogniser(networks),
        occlusion_gate=make_occlusion_gate(networks),
        calibration=load_calibration(folder / "calibration.yaml", *hashes),
    )


def create_app(config: Config, journal: Journal) -> WsgiApp:
    """The WSGI application, ready to answer.

    Raises:
        DeviceError: the device must not serve as it is; carries a remedy.
    """
    cv2.setNumThreads(1)  # requests run side by side; threads inside one resize would only compete with them
    networks = load_networks(config.inference)
    stages = make_stages(config, networks)
    metrics = Metrics(stages.opener.warnings)
    for warning in stages.opener.warnings:
        journal.write("warning", reason=warning)
    pipeline = Pipeline(stages, ThreadPoolExecutor(config.admission.running, "photo-two"))
    exchange = Exchange(journal, metrics)
    gate = Gate(load_credentials(config.terminals), RateLimit(config.terminals, time.monotonic), config.management)
    app: WsgiApp = falcon.App(middleware=[exchange, gate])
    for kind in (Exception, falcon.HTTPError):  # falcon's own handler for the second would win over one for the first
        app.add_error_handler(kind, exchange.on_error)
    turnstile = Turnstile(config.admission, time.monotonic)
    _add_routes(app, Verification(pipeline, turnstile, config.server.body_limit_bytes), networks, metrics)
    return app


def _add_routes(app: WsgiApp, verification: Verification, networks: Networks, metrics: Metrics) -> None:
    loaded = (networks.detection, networks.recognition)
    running_on = {network.manifest.name: network.accelerator.value for network in loaded}

    def reasons() -> list[str]:
        """Why the device does not serve."""
        return [f"engine_failed:{network.manifest.name}" for network in loaded if not network.works()]

    app.add_route(PATH, verification)
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready(reasons, running_on))
    app.add_route("/metrics", Exposition(metrics))
    app.add_route("/openapi.yaml", OpenApi())
