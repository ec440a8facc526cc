"""Contenders do what they are measured for: OpenCV compares faces, engines get the pipeline's own batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.app import watched_ring
from daemon.errors import EngineRefused
from daemon.manifest import load_manifest
from tests.conftest import STATE, Site
from tests.end_to_end.photos import plain, scaled
from tools.benchmark.opencv import OpenCv
from tools.benchmark.ours import ENGINE_PART, ENGINES, PIPELINE, Ours
from tools.benchmark.site import BenchSite, bench_site
from tools.engines import source_network
from tools.sealing import jwe_sealer

_SAME_PERSON = 0.363
"""Source: OpenCV's tutorial "DNN-based Face Detection And Recognition", cosine threshold of SFace."""


@pytest.fixture(scope="module")
def photos(samples: dict[str, bytes]) -> dict[str, bytes]:
    return {name: scaled(photo, 200) for name, photo in samples.items()}


@pytest.fixture(scope="module")
def opencv(site: Site, tmp_path_factory: pytest.TempPathFactory) -> OpenCv:
    """Over both networks as their makers publish them."""
    found = []
    for name in ("yunet", "sface"):
        path = tmp_path_factory.mktemp(name) / "network.onnx"
        manifest = load_manifest(Path(site.document["inference"]["networks"]) / name)
        path.write_bytes(source_network(manifest, STATE / "cache"))
        found.append(path)
    return OpenCv(*found)


@pytest.fixture(scope="module")
def own_site(site: Site) -> Iterator[BenchSite]:
    with bench_site(site.write("bench.yaml")) as made:
        yield made


@pytest.mark.parametrize("long_side_px", [None, 160])
def test_opencv_tells_people_apart(photos: dict[str, bytes], opencv: OpenCv, long_side_px: int | None) -> None:
    seen = {name: opencv.embedding(photos[name], long_side_px) for name in ("obama", "obama2", "biden")}
    vectors = {name: vector for name, (vector, _) in seen.items()}
    assert list(seen["obama"][1]) == ["decode", "detect", "align", "embed"]
    assert opencv.cosine(vectors["obama"], vectors["obama2"]) > _SAME_PERSON
    assert opencv.cosine(vectors["obama"], vectors["biden"]) < _SAME_PERSON


def test_photo_without_a_face_is_no_yardstick(opencv: OpenCv) -> None:
    with pytest.raises(EngineRefused, match="no face"):
        opencv.embedding(plain(200, 200), None)


def test_engines_are_asked_what_the_pipeline_asks_them(own_site: BenchSite, photos: dict[str, bytes]) -> None:
    seal = jwe_sealer(watched_ring(own_site.config).current().jwks()["keys"][0])
    ours = Ours(own_site.config, [(seal(photos["obama"]), seal(photos["biden"]))])
    parts = ours.engine_parts(0)
    again = ours.engine_parts(0)
    for step in ("detect", "embed"):
        assert 0 < parts[ENGINE_PART + step] <= parts[step]
    assert list(parts) == list(again)
    verified, replayed = (ours.works()[name](0, 0) for name in (PIPELINE, ENGINES))
    assert list(verified) == [name for name in parts if not name.startswith(ENGINE_PART)]
    assert replayed == {}


def test_site_of_its_own_has_the_limits_of_the_configured_one(site: Site, own_site: BenchSite) -> None:
    document = site.document
    assert own_site.config.admission.running == document["admission"]["running"]
    assert own_site.config.server.threads == document["server"]["threads"]
    assert str(own_site.config.keys.store) != document["keys"]["store"]
    assert own_site.config.server.bind == (f"127.0.0.1:{own_site.port}",)
