"""`fvctl train-occlusion`: one seed gives one file, and the result says what is refused of people not trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY, STATE
from tools.cli import main


@pytest.fixture
def photos(tmp_path: Path, samples: dict[str, bytes]) -> Path:
    """A labelled folder of four photos."""
    for name, photo in samples.items():
        (tmp_path / "photos" / name.rstrip("23")).mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name.rstrip("23") / f"{name}.jpg").write_bytes(photo)
    return tmp_path / "photos"


WHERE = ["--networks", str(REPOSITORY / "trt_engines"), "--cache", str(STATE / "cache")]


def train(photos: Path, out: Path, *more: str) -> int:
    return main(["train-occlusion", str(photos), *WHERE, "--out", str(out), "--rounds", "3", "--json", *more])


def test_one_seed_gives_the_same_file_byte_for_byte(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / "one.npz", tmp_path / "two.npz", tmp_path / "other.npz"]
    assert [train(photos, out, "--seed", seed) for out, seed in zip(outs, "112", strict=True)] == [0, 0, 0]
    first, again, other = (out.read_bytes() for out in outs)
    assert first == again
    assert first != other
    with np.load(outs[0]) as head:
        shapes = {name: head[name].shape for name in head.files}
    assert shapes == {"weight": (24, 512), "bias": (24,), "regions": (4, 24, 14, 14), "regions_bias": (4,)}
    assert capsys.readouterr().out.count('"sha256"') == 3


def test_known_covers_are_learned_from_and_the_result_has_held_out_rates(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known.csv"
    known.write_text("photo,shows,covered,unsure\nobama/obama.jpg,dark glasses,left_eye right_eye,\n")
    also = tmp_path / "also.csv"
    also.write_text("photo,shows,covered,unsure\nbiden.jpg,nothing,,\n")
    assert train(photos, tmp_path / "head.npz", "--known", str(known), "--also", str(photos / "biden"), str(also)) == 0
    result = json.loads(capsys.readouterr().out)
    # Five photos as they are and each drawn on three times; the known one is seen again six times, and its glasses are
    # put on every other of the plain faces, of which the first and the third are in its half of the people.
    assert result["examples"] == 5 + 5 * 3 + 6 + 2
    rows = {row["faces"]: row for row in result["rates"] if not row["faces"].startswith(("drawn", "seen"))}
    assert {name: (row["should_be"], row["count"]) for name, row in rows.items()} == {
        "also: nothing": ("passed", 1),
        "photos: dark glasses": ("refused", 1),
        "photos: nothing": ("passed", 3),
    }


def test_text_for_people_has_the_rates_and_the_file(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    also = tmp_path / "also.csv"
    also.write_text("photo,shows,covered,unsure\nbiden.jpg,nothing,,\n")
    more = ["--also", str(photos / "biden"), str(also)]
    main(["train-occlusion", str(photos), *WHERE, *more, "--out", str(tmp_path / "head.npz")])
    shown = capsys.readouterr().out
    assert "should_be" in shown
    assert "interval_95" in shown
    assert "sha256: " in shown


def test_a_network_without_features_for_a_head_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(photos, tmp_path / "head.npz", "--network", "yunet") == 2
    assert "yunet names no occlusion feature" in capsys.readouterr().err
    assert not (tmp_path / "head.npz").exists()
