"""Photos of the size that is wanted, from the samples or from a folder."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from daemon.errors import ConfigurationRefused
from tools.benchmark.photos import about, folder_pairs, longer_side_px, resized, sized_pairs


@pytest.mark.parametrize("wanted_kb", [40, 500])
def test_photo_has_about_the_bytes_that_are_wanted_and_the_shape_that_it_had(
    samples: dict[str, bytes], wanted_kb: int
) -> None:
    made = resized(samples["obama"], wanted_kb * 1000)
    assert len(made) == pytest.approx(wanted_kb * 1000, rel=0.03)
    before, after = (Image.open(io.BytesIO(photo)) for photo in (samples["obama"], made))
    assert after.format == "JPEG"
    assert after.width / after.height == pytest.approx(before.width / before.height, rel=0.01)
    assert longer_side_px(made) == max(after.size)


def test_photo_that_would_need_too_many_pixels_is_refused(samples: dict[str, bytes]) -> None:
    with pytest.raises(ConfigurationRefused, match="no JPEG of 200 bytes"):
        resized(samples["obama"], 200)


def test_there_is_a_pair_for_each_size(samples: dict[str, bytes]) -> None:
    pairs = sized_pairs(samples, [40, 60])
    assert [pair.name for pair in pairs] == ["40 kB", "60 kB"]
    assert [round(pair.kilobytes, -1) for pair in pairs] == [40, 60]
    assert about(pairs).startswith("2 pairs, ")


def test_folder_gives_its_photos_two_by_two(tmp_path: Path, samples: dict[str, bytes]) -> None:
    for name in ("d.jpg", "a.jpg", "c.jpeg", "b.JPG", "e.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "notes.txt").write_text("no photo")
    pairs = folder_pairs(tmp_path, 8)
    assert [(pair.first, pair.second) for pair in pairs] == [(b"a.jpg", b"b.JPG"), (b"c.jpeg", b"d.jpg")]
    assert len(folder_pairs(tmp_path, 1)) == 1


def test_folder_without_two_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"")
    with pytest.raises(ConfigurationRefused, match="1 photos, two are needed"):
        folder_pairs(tmp_path, 8)
    with pytest.raises(ConfigurationRefused, match="is no folder"):
        folder_pairs(tmp_path / "nowhere", 8)
