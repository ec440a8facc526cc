"""What a network says of itself: `manifest.yaml` in its folder below `trt_engines/`.

A site's own network is a new folder with its own manifest and calibration; no code changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from daemon.config import AtLeastOne
from daemon.yaml_file import STRICT, read_yaml

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
"""It is part of a reason that /readyz gives, and so held to that one's pattern in daemon/api/openapi.yaml."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Rewrite(str, Enum):
    """A graph rewrite of the recipe, by the name `tools.recipe` gives it."""

    FOLD_CONSTANTS = "fold_constants"
    DYNAMIC_BATCH = "dynamic_batch"
    DYNAMIC_SIZE = "dynamic_size"
    QUANTISE_POINTWISE = "quantise_pointwise"
    SPLIT_PRELU = "split_prelu"
    JOIN_OCCLUSION_HEAD = "join_occlusion_head"


@dataclass(frozen=True, slots=True, config=STRICT)
class Source:
    """Where the network comes from: one member of one archive of the package index, both pinned."""

    requirement: str
    archive: str
    archive_sha256: Sha256
    member: str
    member_sha256: Sha256
    upstream: str
    licence: str


@dataclass(frozen=True, slots=True, config=STRICT)
class Preprocessing:
    """How pixels become the network's input: (value - offset) * scale, NCHW float32."""

    colour_order: Literal["RGB", "BGR"]
    offset: float
    scale: float


@dataclass(frozen=True, slots=True, config=STRICT)
class Profile:
    """Shapes an engine is built for; the accelerator refuses others instead of rebuilding."""

    smallest: tuple[int, int, int, int]
    usual: tuple[int, int, int, int]
    largest: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, config=STRICT)
class Detection:
    """How the detector looks at a photo; part of what a calibration is bound to."""

    first_look_px: AtLeastOne
    distant_look_px: AtLeastOne
    close_look_px: AtLeastOne
    close_look_scales: Annotated[tuple[float, ...], Field(min_length=1)]
    about_as_large: Share
    upright_confidence_min: Share
    confidence_min: Share
    overlap_max: Share


@dataclass(frozen=True, slots=True, config=STRICT)
class Regions:
    """A share for each region of `daemon.records.REGIONS`, 0 to 1."""

    left_eye: Share
    right_eye: Share
    nose: Share
    mouth: Share


@dataclass(frozen=True, slots=True, config=STRICT)
class Occlusion:
    """The occlusion head: its weights' file, and below which visible share a region counts as covered."""

    weights: str
    weights_sha256: Sha256
    feature: str
    min_visible: Regions


@dataclass(frozen=True, slots=True, config=STRICT)
class Manifest:
    """One network; only one that is quantised sets `activation_ranges`.

    A detector sets `detection`, a recogniser `occlusion`; `daemon.app` refuses one without its own.
    """

    name: Name
    task: Literal["detection", "recognition"]
    source: Source
    recipe: tuple[Rewrite, ...]
    input: str
    preprocessing: Preprocessing
    profile: Profile
    cosine_min: Share
    detection: Detection | None
    occlusion: Occlusion | None
    activation_ranges: dict[str, tuple[float, float]] | None


def load_manifest(folder: Path) -> Manifest:
    """The manifest of one network's folder.

    Raises:
        ConfigurationRefused: it is missing or has faults; all of them are named.
    """
    return read_yaml(folder / "manifest.yaml", Manifest)


def model_hash(model: bytes, manifest: Manifest) -> str:
    """Identity of a network and of how it is used; what a calibration is bound to.

    It covers the device model's bytes and every part of the manifest that changes what comes out. It leaves out what
    differs between devices (onnxruntime, accelerator): those are the engine's identity, see `daemon.inference`.

    Args:
        model: the device model, ONNX bytes.
        manifest: the manifest it was made by.

    Returns:
        64 lower-case hex digits.
    """
    parts = (manifest.preprocessing, manifest.detection)
    used = json.dumps([part and asdict(part) for part in parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(model + b"\n" + used.encode()).hexdigest()
