"""The README says what is: its answers are the real ones, its commands exist, its table is the pipeline's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from daemon.api.intake import FIRST_PHOTO, SECOND_PHOTO
from daemon.config import load_config
from daemon.records import Step
from daemon.sealed.legacy import LegacyFormat
from tests.conftest import REPOSITORY, STATE, Site, need_8_bit_products
from tests.running_daemon import RunningDaemon
from tools.cli import parser
from tools.engines import build_engine

README = (REPOSITORY / "README.md").read_text("utf-8")
SHOWN = re.findall(r"pair: [a-z-]+: (\w+)\.jpg, (\w+)\.jpg\nanswer: .*?'verification_score': ([0-9.]+)", README)


def test_the_session_shows_both_pairs() -> None:
    assert [pair[:2] for pair in SHOWN] == [("obama", "obama2"), ("obama", "biden")]


@pytest.fixture(scope="module")
def shown(site: Site) -> Iterator[RunningDaemon]:
    """A daemon with the networks that `tools/quickstart` takes where the README's session was recorded."""
    need_8_bit_products()
    path = site.write("shown.yaml", inference={"recognition": "sface_int8", "engines": str(site.folder / "shown")})
    settings = load_config(path).inference
    for name in (settings.detection, settings.recognition):
        build_engine(settings.networks / name, settings, STATE / "cache")
    with RunningDaemon(path, site.folder / "shown.log") as running:
        yield running


@pytest.mark.parametrize(("first", "second", "score"), SHOWN)
def test_the_session_shows_the_scores_that_the_daemon_gives(
    shown: RunningDaemon, legacy: LegacyFormat, samples: dict[str, bytes], first: str, second: str, score: str
) -> None:
    answer = shown.verify({FIRST_PHOTO: legacy.seal(samples[first]), SECOND_PHOTO: legacy.seal(samples[second])})
    # Another processor sums in another order: seven digits are shown, four are promised.
    assert answer.json["verification_score"] == pytest.approx(float(score), abs=1e-4)


def test_the_table_of_steps_is_the_pipeline() -> None:
    rows = re.findall(r"^\| (\d) (\w+) \|", README, re.MULTILINE)
    assert rows == [(str(number), step.value) for number, step in enumerate(Step, 1)]


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^fvctl .*$", README, re.MULTILINE))))
def test_every_fvctl_command_shown_is_one(line: str) -> None:
    words = shlex.split(line.replace("\\", ""), comments=True)[1:]
    assert parser().parse_args(words).command == words[0]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_file_linked_exists(path: str) -> None:
    assert (REPOSITORY / path).exists()
