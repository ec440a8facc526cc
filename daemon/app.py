"""The composition root: every object is made here, every route is listed here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import falcon

from daemon.api.about import about_device, calibration_path
from daemon.api.admission import Turnstile
from daemon.api.condition import JOURNAL_LOSES, LOWERED, Condition
from daemon.api.credentials import Credentials, today_utc
from daemon.api.exchange import Exchange, Gate
from daemon.api.figures import Figures, Lost
from daemon.api.health import JWKS_PATH, Alive, Exposition, Jwks, OpenApi, Ready
from daemon.api.rate_limit import RateLimit
from daemon.api.registry import watch_registry
from daemon.api.responses import ANSWERS, COMPARED, INTERNAL_ERROR
from daemon.api.status import Status
from daemon.api.verification import PATH, Verification
from daemon.audit import Journal, Metrics
from daemon.config import Config, Inference, PhotoLimits
from daemon.errors import ConfigurationRefused
from daemon.face.detection import FaceDetector
from daemon.face.quality import OcclusionGate
from daemon.face.recognition import Recogniser
from daemon.inference.accelerators import Target
from daemon.inference.batching import Device
from daemon.inference.engine import load_engine
from daemon.inference.network import OnnxNetwork
from daemon.manifest import load_manifest
from daemon.photo.decoder import PhotoDecoder
from daemon.photo.isolation import DecoderProcesses, Largest
from daemon.photo.process import Bounds
from daemon.pipeline import Pipeline, Stages
from daemon.pool import started_pool
from daemon.pulse import Pulse
from daemon.recent import Recent
from daemon.score.calibration import load_calibration
from daemon.sealed.freshness import FreshPhotos
from daemon.sealed.jwe import JweFormat
from daemon.sealed.kek import kek_files
from daemon.sealed.keyring import KeyRing, load_ring
from daemon.sealed.keystore import STORE_FILE
from daemon.sealed.known_answers import check_known_answers
from daemon.sealed.opener import Opener
from daemon.self_test import known_photos, known_scores, prove
from daemon.tls import make_tls
from daemon.watched import Watched

WsgiApp = falcon.App[falcon.Request, falcon.Response]


@dataclass(frozen=True, slots=True)
class Networks:
    """Both networks, loaded and proven, and the device that they share."""

    detection: OnnxNetwork
    recognition: OnnxNetwork
    device: Device

    @property
    def both(self) -> tuple[OnnxNetwork, OnnxNetwork]:
        """Both, in the order in which photos meet them."""
        return self.detection, self.recognition

    def reproduce(self) -> bool:
        """Whether both still compute their golden vectors."""
        return self.detection.reproduces() and self.recognition.reproduces()

    def running_on(self) -> dict[str, str]:
        """The accelerator of each network, by the network's name."""
        return {network.manifest.name: network.accelerator.value for network in self.both}


def load_networks(settings: Inference) -> Networks:
    """The networks that the configuration names.

    Raises:
        ConfigurationRefused: a manifest is missing or has faults.
        EngineRefused: an engine is not what it should be.
    """
    detection, recognition = (_load_network(settings, name) for name in (settings.detection, settings.recognition))
    return Networks(detection, recognition, Device(settings.threads))


def _load_network(settings: Inference, name: str) -> OnnxNetwork:
    manifest = load_manifest(settings.networks / name)
    return load_engine(settings.engines, manifest, Target(settings.accelerator, settings.policy, threads=1))


def is_lowered(settings: Inference, networks: Networks) -> bool:
    """Whether a network runs on something slower than what is asked for, which policy allow_lower permits."""
    return set(networks.running_on().values()) != {settings.accelerator.value}


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
    return FaceDetector(networks.device.shared(networks.detection), manifest.preprocessing, manifest.detection)


def make_recogniser(networks: Networks) -> Recogniser:
    """Step 5 for the loaded recognition network."""
    return Recogniser(networks.device.shared(networks.recognition), networks.recognition.manifest.preprocessing)


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


def watched_ring(config: Config) -> Watched[KeyRing]:
    """The keys that open photos, read again when the store or the key-encryption key changed.

    Raises:
        KeyRefused: see `load_ring` and `KeyRing.require`.
    """
    files = (config.keys.store / STORE_FILE, *kek_files(config.keys, os.environ))
    ring = Watched(files, lambda: load_ring(config, today_utc))
    ring.kept().require(config.sealed)
    return ring


def make_memory(config: Config) -> FreshPhotos | None:
    """Which sealed photos were seen; None where they may be sent again."""
    return FreshPhotos(config.sealed.freshness, time.time) if config.sealed.freshness else None


def make_opener(config: Config, ring: Watched[KeyRing], memory: FreshPhotos | None) -> Opener:
    """Step 1 for the configured formats."""
    return Opener(config.sealed, JweFormat(memory), ring.current)


def make_decoders(limits: PhotoLimits) -> DecoderProcesses:
    """The processes that photos are decoded in."""
    return DecoderProcesses(
        Bounds(limits.decoding_bytes, limits.decoding_s), Largest(limits.max_bytes, limits.max_side_px)
    )


def make_decoder(limits: PhotoLimits, decoders: DecoderProcesses | None = None) -> PhotoDecoder:
    """Step 2, each photo in a process of its own."""
    return PhotoDecoder(limits, (decoders or make_decoders(limits)).decode)


def make_stages(config: Config, networks: Networks, opener: Opener, decoders: DecoderProcesses | None = None) -> Stages:
    """All steps that hold something.

    Raises:
        DeviceError: something is missing, damaged or does not fit together; carries a remedy.
    """
    hashes = (networks.detection.model_hash, networks.recognition.model_hash)
    return Stages(
        opener=opener,
        decoder=make_decoder(config.photo, decoders),
        detector=make_detector(networks),
        recogniser=make_recogniser(networks),
        occlusion_gate=make_occlusion_gate(networks),
        calibration=load_calibration(calibration_path(config.inference), *hashes),
    )


def prove_all(stages: Stages, networks: Networks) -> None:
    """The self-test before the first request; the networks have reproduced their golden vectors when they were loaded.

    Raises:
        KeyRefused: the machine's cryptography gives other answers than the standards.
        EngineRefused: known photos get wrong scores.
    """
    check_known_answers()
    scores = known_scores(stages.detector, stages.recogniser, stages.calibration)
    prove(scores, known_photos(networks.detection))


@dataclass(frozen=True, slots=True)
class Daemon:
    """Everything that serves.

    Attributes:
        wsgi: the WSGI application.
        pulse: whether it makes progress.
        turnstile: who is let in.
        metrics: count what is refused before it gets here, too.
    """

    wsgi: WsgiApp
    pulse: Pulse
    turnstile: Turnstile
    metrics: Metrics

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request. Source: PEP 3333."""
        return self.wsgi(environ, start_response)


def create_app(config: Config, journal: Journal) -> Daemon:
    """The daemon, ready to answer.

    Raises:
        DeviceError: the device must not serve as it is; carries a remedy.
    """
    cv2.setNumThreads(1)  # requests run side by side; threads inside one resize would only compete with them
    ring = watched_ring(config)
    networks = load_networks(config.inference)
    memory = make_memory(config)
    decoders = make_decoders(config.photo)
    stages = make_stages(config, networks, make_opener(config, ring, memory), decoders)
    prove_all(stages, networks)
    registry = watch_registry(config.terminals)
    credentials = Credentials(config.terminals.authentication, registry, today_utc)
    gate = Gate(credentials, RateLimit(config.terminals, registry, time.monotonic), config.management)
    tls = make_tls(config, lambda _fault: None)  # gunicorn's own instance reports
    # The turnstile tells the metrics what it sees, and they ask it: it is made first.
    turnstile = Turnstile(config.admission, time.monotonic, lambda waited_s: metrics.waited(waited_s))
    condition = Condition(
        networks.both, ring, config.sealed, registry, memory, tls, turnstile, _warnings(config, ring, journal, networks)
    )
    pulse = Pulse(config.health, networks.reproduce, time.monotonic)
    lost = Lost(lambda: journal.lost, lambda: decoders.lost)
    figures = Figures(about_device(config.inference, networks.both), condition, turnstile, lost)
    metrics = _make_metrics(figures)
    recent = Recent(time.monotonic, lambda: turnstile.waiting)
    pipeline = Pipeline(stages, started_pool(config.admission.running, "photo-two"))
    exchange = Exchange(journal, metrics, recent.add)
    app: WsgiApp = falcon.App(middleware=[exchange, gate])
    for kind in (Exception, falcon.HTTPError):  # falcon's own handler for the second would win over one for the first
        app.add_error_handler(kind, exchange.on_error)
    app.add_route(PATH, Verification(pipeline, turnstile, pulse, config.server))
    app.add_route("/healthz", Alive())
    app.add_route("/readyz", Ready(condition.reasons, networks.running_on(), is_lowered(config.inference, networks)))
    app.add_route("/metrics", Exposition(metrics))
    app.add_route("/status", Status(figures, recent))
    app.add_route("/openapi.yaml", OpenApi())
    app.add_route(JWKS_PATH, Jwks(lambda: ring.current().jwks()))
    return Daemon(app, pulse, turnstile, metrics)


def _make_metrics(figures: Figures) -> Metrics:
    metrics = Metrics(figures.readings)
    for answer in {COMPARED, INTERNAL_ERROR, *ANSWERS.values()}:
        metrics.expect(PATH, answer.code, answer.status)
    return metrics


def _warnings(
    config: Config, ring: Watched[KeyRing], journal: Journal, networks: Networks
) -> Callable[[], tuple[str, ...]]:
    """Gives the weaknesses in use, as of the keys and certificates held when it is asked; journals them now."""
    tls = make_tls(config, lambda _fault: None)  # gunicorn's own instance reports
    lowered = (LOWERED,) if is_lowered(config.inference, networks) else ()

    def warnings() -> tuple[str, ...]:
        """Weaknesses in use."""
        lost = (JOURNAL_LOSES,) if journal.lost else ()
        return (*ring.kept().warnings(config.sealed), *(tls.warnings() if tls else ()), *lowered, *lost)

    for warning in warnings():
        journal.write("warning", reason=warning)
    return warnings
