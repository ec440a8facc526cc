"""The occlusion gate: by the manifest's thresholds, and on drawn masks and glasses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from daemon.errors import FaceOccluded
from daemon.face.alignment import align
from daemon.face.quality import OcclusionGate
from daemon.pipeline import Stages
from daemon.records import REGIONS, Bytes, FaceCrop, Pixels, Portrait
from tools.occluders.glasses import dark_glasses
from tools.occluders.masks import mask

GATE = OcclusionGate({"left_eye": 0.35, "right_eye": 0.35, "nose": 0.45, "mouth": 0.45})
NAMES = ["obama", "obama2", "obama3", "biden"]


def _portrait(**visible: float) -> Portrait:
    return Portrait(np.ones(1, np.float32), {region: visible.get(region, 1.0) for region in REGIONS})


def _crop(stages: Stages, pixels: Pixels) -> FaceCrop:
    return align(pixels, stages.detector.detect(pixels, auto_rotate=False))


def test_a_face_that_shows_everything_passes() -> None:
    GATE.check(_portrait())


@pytest.mark.parametrize("region", REGIONS)
def test_one_covered_region_is_refused_by_name(region: str) -> None:
    with pytest.raises(FaceOccluded, match=f"^covered: {region}$"):
        GATE.check(_portrait(**{region: 0.0}))


def test_all_covered_regions_are_named() -> None:
    with pytest.raises(FaceOccluded, match=r"^covered: nose, mouth$"):
        GATE.check(_portrait(nose=0.1, mouth=0.2))


def test_a_region_at_its_threshold_passes() -> None:
    GATE.check(_portrait(left_eye=0.35, nose=0.45))


def test_a_region_just_below_its_threshold_is_refused() -> None:
    with pytest.raises(FaceOccluded, match="left_eye"):
        GATE.check(_portrait(left_eye=0.3499))


@pytest.mark.parametrize("name", NAMES)
def test_an_uncovered_photo_passes(stages: Stages, photos: dict[str, Pixels], name: str) -> None:
    (portrait,) = stages.recogniser.embed([_crop(stages, photos[name])])
    stages.occlusion_gate.check(portrait)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("occluder", "region"), [(mask, "mouth"), (dark_glasses, "eye")], ids=lambda value: getattr(value, "__name__", "")
)
def test_a_drawn_cover_is_refused(
    stages: Stages,
    photos: dict[str, Pixels],
    name: str,
    occluder: Callable[[Bytes, np.random.Generator], tuple[Bytes, object]],
    region: str,
) -> None:
    covered, _ = occluder(_crop(stages, photos[name]).rgb, np.random.default_rng(1))
    (portrait,) = stages.recogniser.embed([FaceCrop(covered)])
    with pytest.raises(FaceOccluded, match=region):
        stages.occlusion_gate.check(portrait)
