"""One request: whose fault it is, and a score that depends on the pair alone."""

from __future__ import annotations

import dataclasses
import io
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import cv2
import numpy as np
import pytest
from PIL import Image

from daemon.audit import Stopwatch
from daemon.config import Freshness, Sealed
from daemon.errors import (
    DetectionFailed,
    EngineRefused,
    FaceOccluded,
    InvalidArgument,
    InvalidContentLength,
    InvalidPhotoType,
    RequestError,
    SealedPhotoRefused,
    TryLater,
)
from daemon.face.alignment import PLACES, align
from daemon.face.geometry import similarity
from daemon.face.recognition import Recogniser
from daemon.manifest import Preprocessing
from daemon.pipeline import Pipeline, Stages
from daemon.records import Floats, Pixels, SealedPhoto, Sender, Step, VerificationRequest
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import KeyKind, KeyState, OpeningKey
from daemon.sealed.keystore import KeyRecord
from daemon.sealed.legacy import LegacyFormat
from daemon.sealed.opener import Jwe, Opener
from tests.daemon.face.networks import Fixed, Watched
from tools.occluders.masks import mask

FIRST, SECOND = "first_encrypted_image", "second_encrypted_image"
TERMINAL = Sender("anyone", legacy=True)


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.rgb).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sealed(photos: dict[str, Pixels], stages: Stages, legacy: LegacyFormat) -> dict[str, str]:
    """Sealed photos by what is in them."""
    plain = {name: _png(pixels) for name, pixels in photos.items()}
    plain["masked"] = _png(_masked(stages, photos["obama"]))
    plain["wall"] = _png(Pixels(np.full((100, 100, 3), 128, np.uint8)))
    plain["text"] = b"no photo"
    plain["empty"] = b""
    opened = {name: legacy.seal(photo) for name, photo in plain.items()}
    return opened | {"damaged": legacy.seal(b"photo")[4:], "no base64": "?"}


def _masked(stages: Stages, pixels: Pixels) -> Pixels:
    """The photo with a mask drawn on its face: drawn on the aligned crop, and brought back into the photo."""
    face = stages.detector.detect(pixels, auto_rotate=False)
    drawn, cover = mask(align(pixels, face).rgb, np.random.default_rng(1))
    size = pixels.rgb.shape[1::-1]
    back = (similarity(face.landmarks, PLACES), size, None, cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST)
    covered = cv2.warpAffine(cover.astype(np.uint8), *back)[..., None]
    return Pixels(np.where(covered, cv2.warpAffine(drawn, *back), pixels.rgb).astype(np.uint8))


def _request(first: str, second: str, check_quality: bool = False) -> VerificationRequest:
    return VerificationRequest(TERMINAL, (SealedPhoto(FIRST, first), SealedPhoto(SECOND, second)), False, check_quality)


def _refusal(pipeline: Pipeline, request: VerificationRequest) -> tuple[type[RequestError], str | None]:
    with pytest.raises(RequestError) as refused:
        pipeline.verify(request, Stopwatch())
    return type(refused.value), refused.value.field


def _score(pipeline: Pipeline, first: str, second: str) -> float:
    return pipeline.verify(_request(first, second), Stopwatch())


def test_one_person_scores_above_the_recommended_threshold(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    # Source: the contract: "greater than 0.7".
    assert _score(pipeline, sealed["obama"], sealed["obama3"]) > 0.7


def test_two_people_score_below_the_recommended_threshold(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    assert _score(pipeline, sealed["obama"], sealed["biden"]) < 0.7


def test_a_photo_and_itself_score_1(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    assert _score(pipeline, sealed["obama"], sealed["obama"]) == 1.0


@pytest.mark.parametrize("pair", [("obama", "obama2"), ("obama2", "biden"), ("obama3", "obama"), ("biden", "obama3")])
def test_swapping_the_photos_gives_the_same_score(
    pipeline: Pipeline, sealed: dict[str, str], pair: tuple[str, str]
) -> None:
    first, second = (sealed[name] for name in pair)
    assert _score(pipeline, first, second) == _score(pipeline, second, first)


def test_a_score_does_not_depend_on_what_else_is_running(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    pairs = [("obama", "obama2"), ("obama2", "obama3"), ("biden", "obama3"), ("obama3", "obama")]
    alone = [_score(pipeline, sealed[one], sealed[other]) for one, other in pairs]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(_score, pipeline, sealed[one], sealed[other]) for one, other in pairs * 4]
        assert [done.result() for done in asked] == alone * 4


@pytest.mark.parametrize(
    ("bad", "refusal"),
    [
        ("no base64", InvalidArgument),
        ("damaged", SealedPhotoRefused),
        ("empty", InvalidContentLength),
        ("text", InvalidPhotoType),
        ("wall", DetectionFailed),
    ],
)
def test_the_photo_at_fault_is_named(
    pipeline: Pipeline, sealed: dict[str, str], bad: str, refusal: type[RequestError]
) -> None:
    assert _refusal(pipeline, _request(sealed[bad], sealed["biden"])) == (refusal, FIRST)
    assert _refusal(pipeline, _request(sealed["biden"], sealed[bad])) == (refusal, SECOND)


def test_where_both_photos_are_bad_the_answer_is_photo_one_s(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    # Photo one's fault is found last, after detection; photo two's first, before anything is decrypted.
    assert _refusal(pipeline, _request(sealed["wall"], sealed["no base64"])) == (DetectionFailed, FIRST)
    assert _refusal(pipeline, _request(sealed["no base64"], sealed["wall"])) == (InvalidArgument, FIRST)


@pytest.mark.parametrize("bad", ["no base64", "damaged", "text", "wall"])
def test_a_covered_photo_one_comes_before_any_fault_of_photo_two(
    pipeline: Pipeline, sealed: dict[str, str], bad: str
) -> None:
    request = _request(sealed["masked"], sealed[bad], check_quality=True)
    assert _refusal(pipeline, request) == (FaceOccluded, FIRST)


def test_a_covered_photo_two_is_named(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    request = _request(sealed["biden"], sealed["masked"], check_quality=True)
    assert _refusal(pipeline, request) == (FaceOccluded, SECOND)


def test_an_uncovered_photo_one_lets_photo_two_s_fault_through(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    request = _request(sealed["biden"], sealed["damaged"], check_quality=True)
    assert _refusal(pipeline, request) == (SealedPhotoRefused, SECOND)


def test_covered_faces_are_compared_where_no_check_is_asked_for(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    assert 0 <= _score(pipeline, sealed["masked"], sealed["biden"]) <= 1


def _opener(sealed_format: Jwe, freshness: Freshness | None = None) -> Opener:
    """Opens by a format of the test's; its texts have a dot, as a JWE has."""
    settings = Sealed(jwe=True, freshness=freshness, legacy=False, allow_published_key=False)
    key = OpeningKey("key", KeyKind.DIRECT, None, bytes(32))
    record = KeyRecord("key", KeyKind.DIRECT, KeyState.ACTIVE, None, "", "", None, "")
    return Opener(settings, sealed_format, lambda: KeyRing([(record, key)], date.today))


class _Keeping:
    """A sealed format that keeps the buffers it hands out: a dot before the legacy format's text."""

    def __init__(self, legacy: LegacyFormat) -> None:
        self._legacy = legacy
        self.buffers: list[bytearray] = []

    def open(self, text: str, _keys: object, _sender: str) -> bytearray:
        """What the legacy format gives."""
        self.buffers.append(self._legacy.open(text.removeprefix(".")))
        return self.buffers[-1]


def test_both_opened_photos_are_wiped_whether_they_decode_or_not(
    stages: Stages, sealed: dict[str, str], legacy: LegacyFormat
) -> None:
    keeping = _Keeping(legacy)
    with ThreadPoolExecutor(1) as pool:
        pipeline = Pipeline(dataclasses.replace(stages, opener=_opener(keeping)), pool)
        request = _request("." + sealed["biden"], "." + sealed["text"])
        assert _refusal(pipeline, request) == (InvalidPhotoType, SECOND)
    assert sorted(map(bool, keeping.buffers)) == [True, True]
    assert not any(any(buffer) for buffer in keeping.buffers)


class _Once(_Keeping):
    """Opens one photo and no other, photo one late."""

    def open(self, text: str, keys: object, sender: str) -> bytearray:
        """What the legacy format gives, once."""
        if text.startswith("one"):
            time.sleep(0.2)
        if self.buffers:
            raise SealedPhotoRefused
        return super().open(text.removeprefix("one"), keys, sender)


def test_of_one_sealed_photo_sent_twice_photo_one_opens(
    stages: Stages, sealed: dict[str, str], legacy: LegacyFormat
) -> None:
    once = _opener(_Once(legacy), Freshness(max_age_s=60, clock_skew_s=5, remembered=10))
    with ThreadPoolExecutor(1) as pool:
        pipeline = Pipeline(dataclasses.replace(stages, opener=once), pool)
        request = _request("one." + sealed["biden"], "." + sealed["biden"])
        assert _refusal(pipeline, request) == (SealedPhotoRefused, SECOND)


class _Broken:
    """A network whose accelerator failed."""

    def run(self, _batch: Floats) -> Mapping[str, Floats]:
        """Nothing."""
        raise EngineRefused("network sface failed", "Run: fvctl engines build")


def test_a_failed_network_is_no_photo_s_fault(stages: Stages, sealed: dict[str, str]) -> None:
    broken = dataclasses.replace(stages, recogniser=Recogniser(_Broken(), Preprocessing("RGB", 0.0, 1.0)))
    with ThreadPoolExecutor(1) as pool, pytest.raises(EngineRefused):
        Pipeline(broken, pool).verify(_request(sealed["obama"], sealed["biden"]), Stopwatch())


class _SecondIsSlow:
    """Photo one is refused once photo two has begun, which goes on for a while."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def open(self, text: str, _keys: object, _sender: str) -> bytearray:
        if text == ".one":
            assert self.begun.wait(10)
            raise SealedPhotoRefused
        self.begun.set()
        time.sleep(0.3)
        self.ended.set()
        raise SealedPhotoRefused


def test_the_work_on_photo_two_counts_as_its_request_s_until_it_ends(stages: Stages) -> None:
    slow = _SecondIsSlow()
    busy = dataclasses.replace(stages, opener=_opener(slow))
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(SealedPhotoRefused):
            Pipeline(busy, pool).verify(_request(".one", ".two"), Stopwatch())
        assert slow.ended.is_set()


def test_a_process_that_is_ending_refuses_for_now(stages: Stages, sealed: dict[str, str]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pass  # takes nothing any more
    with pytest.raises(TryLater):
        _score(Pipeline(stages, pool), sealed["obama"], sealed["biden"])


def test_all_eight_steps_are_timed_in_order(pipeline: Pipeline, sealed: dict[str, str]) -> None:
    watch = Stopwatch()
    pipeline.verify(_request(sealed["obama"], sealed["biden"]), watch)
    assert list(watch.steps_ms) == list(Step)


def test_each_photo_gets_the_embedding_of_its_own_face(stages: Stages, sealed: dict[str, str]) -> None:
    network = Watched(Fixed([(1, 0)], [(1, 1, 1, 1)]))
    watched = dataclasses.replace(stages, recogniser=Recogniser(network, Preprocessing("RGB", 0.0, 1.0)))
    with ThreadPoolExecutor(1) as pool:
        score = _score(Pipeline(watched, pool), sealed["obama"], sealed["biden"])
    assert score == stages.calibration.score(1.0)
    first, second = network.shown
    assert (len(first), len(second)) == (1, 1)
    assert not np.array_equal(first, second)
