"""What a site says: one YAML file into frozen records, one section per stage.

There are no defaults: the shipped `systemd/faceverifyd.yaml` states every value with its reason. Values that contradict
each other are reported together.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork
from pydantic.dataclasses import dataclass

from daemon.addresses import Binds, is_loopback
from daemon.errors import ConfigurationRefused
from daemon.yaml_file import STRICT, read_yaml

CONFIG_VARIABLE = "FACEVERIFYD_CONFIG"
"""Environment variable that names the configuration file."""

AtLeastOne = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Accelerator(str, Enum):
    """What engines run on."""

    TENSORRT = "tensorrt"
    CUDA = "cuda"
    CPU = "cpu"


class Policy(str, Enum):
    """What happens where the asked accelerator is not there."""

    STRICT = "strict"
    ALLOW_LOWER = "allow_lower"


class Environment(str, Enum):
    """Whether the device serves people's photos, or somebody tries things out."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Authentication(str, Enum):
    """How terminals prove who they are."""

    NONE = "none"
    BEARER = "bearer"
    MUTUAL_TLS = "mutual_tls"


class KekSource(str, Enum):
    """Where the key comes from that the key store is sealed with."""

    CREDENTIAL = "credential"
    PKCS11 = "pkcs11"
    FILE = "file"


class ExifOrientation(str, Enum):
    """When a photo's EXIF orientation is applied: as the request's auto_rotate says, or always."""

    PARAMETER = "parameter"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, config=STRICT)
class Tls:
    """Section `server.tls`: the device's certificate, and who signs those of terminals; PEM files."""

    certificate: Path
    key: Path
    terminals_ca: Path | None


@dataclass(frozen=True, slots=True, config=STRICT)
class Server:
    """Section `server`: where and how gunicorn listens, and how much and how long it reads."""

    tls: Tls | None
    bind: Binds
    threads: Annotated[int, Field(ge=2, le=256)]
    keepalive_s: Annotated[int, Field(ge=1, le=300)]
    receive_s: Seconds
    grace_s: AtLeastOne
    body_limit_bytes: AtLeastOne
    bodies_limit_bytes: AtLeastOne
    connections: Annotated[int, Field(ge=8, le=100_000)]


@dataclass(frozen=True, slots=True, config=STRICT)
class Management:
    """Section `management`: from where health and metrics may be read, and the public JWK of whoever gets bundles."""

    networks: tuple[IPvAnyNetwork, ...]
    support_key: Path | None


@dataclass(frozen=True, slots=True, config=STRICT)
class Terminals:
    """Section `terminals`: who may ask."""

    authentication: Authentication
    registry: Path | None
    requests_per_minute: AtLeastOne
    burst: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class Admission:
    """Section `admission`: how much is worked on, how much may wait, and for how long."""

    running: AtLeastOne
    waiting: Annotated[int, Field(ge=0)]
    deadline_s: Seconds


@dataclass(frozen=True, slots=True, config=STRICT)
class Health:
    """Section `health`: what counts as a hang, and how often an idle device tests itself."""

    stuck_s: Seconds
    idle_test_s: Seconds


@dataclass(frozen=True, slots=True, config=STRICT)
class Pkcs11:
    """Section `keys.pkcs11`: a key inside a token; the PIN is in a file that only the daemon's account reads."""

    module: Path
    token: str
    key: str
    pin: Path


@dataclass(frozen=True, slots=True, config=STRICT)
class Keys:
    """Section `keys`: where the key store is, and what it is sealed with."""

    store: Path
    kek: KekSource
    credential: str
    file: Path | None
    pkcs11: Pkcs11 | None


@dataclass(frozen=True, slots=True, config=STRICT)
class Freshness:
    """Section `sealed.freshness`: how old a sealed photo may be, and how many are remembered to be seen once only."""

    max_age_s: Seconds
    clock_skew_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    remembered: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class Sealed:
    """Section `sealed`: which formats open."""

    jwe: bool
    freshness: Freshness | None
    legacy: bool
    allow_published_key: bool


@dataclass(frozen=True, slots=True, config=STRICT)
class PhotoLimits:
    """Section `photo`: what is accepted, how many of its pixels are decoded, and what decoding may take."""

    min_side_px: AtLeastOne
    max_side_px: AtLeastOne
    max_bytes: AtLeastOne
    exif_orientation: ExifOrientation
    reduced_side_px: AtLeastOne
    face_side_px: AtLeastOne
    decoding_s: Seconds
    decoding_bytes: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class Inference:
    """Section `inference`: which networks, where their engines are, what they run on."""

    accelerator: Accelerator
    policy: Policy
    threads: Annotated[int, Field(ge=1, le=64)]
    networks: Path
    engines: Path
    detection: str
    recognition: str


@dataclass(frozen=True, slots=True, config=STRICT)
class Config:
    """The whole file."""

    environment: Environment
    server: Server
    management: Management
    terminals: Terminals
    admission: Admission
    health: Health
    keys: Keys
    sealed: Sealed
    photo: PhotoLimits
    inference: Inference


def config_path(environment: Mapping[str, str]) -> Path:
    """The configuration file that an environment names, or the device's own."""
    return Path(environment.get(CONFIG_VARIABLE, "/etc/faceverifyd/faceverifyd.yaml"))


def load_config(path: Path) -> Config:
    """The site's configuration, with the rules that span sections checked.

    Raises:
        ConfigurationRefused: see `read_yaml`; also where two values contradict each other.
    """
    config = read_yaml(path, Config)
    faults = [fault for broken, fault in _contradictions(config) if broken]
    if faults:
        raise ConfigurationRefused(f"{path} contradicts itself:\n  " + "\n  ".join(faults), f"Correct {path}.")
    return config


def _contradictions(config: Config) -> list[tuple[bool, str]]:
    admission, photo = config.admission, config.photo
    return [
        *_contradictions_of_terminals(config),
        *_contradictions_of_keys(config),
        (photo.min_side_px > photo.max_side_px, "photo.min_side_px is above photo.max_side_px"),
        (
            config.server.body_limit_bytes > config.server.bodies_limit_bytes,
            "server.bodies_limit_bytes: less than server.body_limit_bytes",
        ),
        (
            config.server.connections <= config.server.threads,
            f"server.connections: no more than server.threads: {config.server.threads}",
        ),
        (
            admission.running + admission.waiting >= config.server.threads,
            f"admission.running + admission.waiting: {admission.running + admission.waiting}, must leave a thread that "
            f"refuses what is over them, server.threads: {config.server.threads}",
        ),
    ]


def _contradictions_of_terminals(config: Config) -> list[tuple[bool, str]]:
    asked, tls, bind = config.terminals.authentication, config.server.tls, list(config.server.bind)
    loopback = all(is_loopback(address) for address in bind)
    return [
        (
            asked is Authentication.NONE and not loopback,
            f"terminals.authentication: none is for loopback only, server.bind is {bind}",
        ),
        (
            asked is Authentication.BEARER and not loopback and tls is None,
            f"server.tls: bearer tokens need it beyond loopback, server.bind is {bind}",
        ),
        (
            asked is Authentication.MUTUAL_TLS and (tls is None or tls.terminals_ca is None),
            "server.tls.terminals_ca: must name a file where terminals.authentication is mutual_tls",
        ),
        (
            asked is not Authentication.NONE and config.terminals.registry is None,
            f"terminals.registry: must name a file where terminals.authentication is {asked.value}",
        ),
    ]


def _contradictions_of_keys(config: Config) -> list[tuple[bool, str]]:
    keys, sealed = config.keys, config.sealed
    production = config.environment is Environment.PRODUCTION
    return [
        (not (sealed.jwe or sealed.legacy), "sealed: neither jwe nor legacy leaves no format that opens a photo"),
        (sealed.freshness is not None and not sealed.jwe, "sealed.freshness: only jwe has it, and sealed.jwe is false"),
        (
            keys.kek is KekSource.FILE and production,
            "keys.kek: file is for environment: development only; use credential or pkcs11",
        ),
        (keys.kek is KekSource.FILE and keys.file is None, "keys.file: must name a file where keys.kek is file"),
        (keys.kek is KekSource.PKCS11 and keys.pkcs11 is None, "keys.pkcs11: must be given where keys.kek is pkcs11"),
    ]
