"""What a site says: one YAML file into frozen records, one section per stage.

Owns reading YAML. An unknown key is a fault, a key given twice is a fault, and all faults of a file are reported
together. There are no defaults: the shipped `systemd/faceverifyd.yaml` states every value with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
import yaml
from pydantic import Field, IPvAnyNetwork
from pydantic.dataclasses import dataclass

from daemon.errors import ConfigurationRefused

STRICT = pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)
"""No unknown keys, and no text where a number belongs."""

CONFIG_VARIABLE = "FACEVERIFYD_CONFIG"
"""Environment variable that names the configuration file."""

T = TypeVar("T")
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


class Authentication(str, Enum):
    """How terminals prove who they are."""

    NONE = "none"
    BEARER = "bearer"


class ExifOrientation(str, Enum):
    """When a photo's EXIF orientation is applied: as the request's auto_rotate says, or always."""

    PARAMETER = "parameter"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, config=STRICT)
class Server:
    """Section `server`: where and how gunicorn listens, and how much and how long it reads."""

    bind: Annotated[tuple[str, ...], Field(min_length=1)]
    threads: Annotated[int, Field(ge=2, le=256)]
    keepalive_s: Annotated[int, Field(ge=1, le=300)]
    receive_s: Seconds
    body_limit_bytes: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class Management:
    """Section `management`: from where health and metrics may be read."""

    networks: tuple[IPvAnyNetwork, ...]


@dataclass(frozen=True, slots=True, config=STRICT)
class Terminals:
    """Section `terminals`: who may ask."""

    authentication: Authentication
    tokens: Path | None
    requests_per_minute: AtLeastOne
    burst: AtLeastOne


@dataclass(frozen=True, slots=True, config=STRICT)
class Admission:
    """Section `admission`: how much is worked on, how much may wait, and for how long."""

    running: AtLeastOne
    waiting: Annotated[int, Field(ge=0)]
    deadline_s: Seconds


@dataclass(frozen=True, slots=True, config=STRICT)
class Sealed:
    """Section `sealed`: which formats open, with which keys."""

    legacy: bool
    legacy_key: Path | None
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

    server: Server
    management: Management
    terminals: Terminals
    admission: Admission
    sealed: Sealed
    photo: PhotoLimits
    inference: Inference


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys silently; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See yaml.SafeLoader; raises ConstructorError where a key comes twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def config_path(environment: Mapping[str, str]) -> Path:
    """The configuration file that an environment names, or the device's own."""
    return Path(environment.get(CONFIG_VARIABLE, "/etc/faceverifyd/faceverifyd.yaml"))


def read_yaml(path: Path, kind: type[T], secret: bool = False) -> T:
    """One YAML file as a checked record.

    Args:
        path: the file.
        kind: a pydantic dataclass made with STRICT.
        secret: never repeat what the file holds, also where it has faults.

    Returns:
        The record.

    Raises:
        ConfigurationRefused: the file is missing, is not YAML, or has faults; all of them are named.
    """
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
        # Strict JSON rules let lists be tuples and text be paths, and nothing else.
        plain = json.dumps(document, default=str)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        seen = type(error).__name__ if secret else error
        raise ConfigurationRefused(f"{path} cannot be read: {seen}", f"Repair {path}.") from None
    try:
        return pydantic.TypeAdapter(kind).validate_json(plain, strict=True)
    except pydantic.ValidationError as error:
        faults = "\n".join(_fault(detail, secret) for detail in error.errors(include_url=False))
        raise ConfigurationRefused(
            f"{path} has {error.error_count()} fault(s):\n{faults}", f"Correct the named lines of {path}."
        ) from None


def _fault(detail: Any, secret: bool) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict
    where = ".".join(str(part) for part in detail["loc"])
    hidden = secret or detail["type"] == "missing"
    seen = "" if hidden else f" (seen: {json.dumps(detail['input'], default=str)[:80]})"
    return f"  {where}: {detail['msg']}{seen}"


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
    terminals, admission, photo = config.terminals, config.admission, config.photo
    loopback = all(is_loopback(bind) for bind in config.server.bind)
    return [
        (
            terminals.authentication is Authentication.NONE and not loopback,
            f"terminals.authentication: none is for loopback only, server.bind is {list(config.server.bind)}",
        ),
        (
            terminals.authentication is Authentication.BEARER and terminals.tokens is None,
            "terminals.tokens: must name a file where terminals.authentication is bearer",
        ),
        (not config.sealed.legacy, "sealed.legacy: false leaves no format that opens a photo"),
        (config.sealed.legacy and config.sealed.legacy_key is None, "sealed.legacy_key: must name a file"),
        (photo.min_side_px > photo.max_side_px, "photo.min_side_px is above photo.max_side_px"),
        (
            admission.running > config.server.threads,
            f"admission.running: {admission.running} is more than server.threads: {config.server.threads}",
        ),
    ]


def is_loopback(bind: str) -> bool:
    """Whether a gunicorn bind address is reachable from this machine only."""
    host = bind.rpartition(":")[0]
    return bind.startswith("unix:") or host in ("127.0.0.1", "[::1]", "localhost")
