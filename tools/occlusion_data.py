"""What an occlusion head learns from: real faces, what is known of them, and all that is drawn on them, as features."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daemon.config import Accelerator, Policy
from daemon.errors import ConfigurationRefused
from daemon.face.network import as_batch
from daemon.inference.accelerators import Target
from daemon.inference.network import open_network
from daemon.manifest import Occlusion
from daemon.records import Bytes, Floats
from tools.console import progress
from tools.engines import detector_from_source, headless_model
from tools.extraction import face_crops, labelled_photos
from tools.occluders.canvas import Random
from tools.occlusion_examples import Example, drawn_on, seen_again
from tools.occlusion_head import Halves, window
from tools.occlusion_labels import NOTHING, PLAIN, Known, known_covers
from tools.occlusion_worn import Worn, can_be_worn, worn
from tools.recipe import with_outputs

_BATCH = 32
"""Crops in one run of the network."""

_AGAIN = 6
"""Times a photo that shows something is seen again by another camera: they are few. Ours."""

_WORN_BY = 2
"""Of so many faces with nothing before them one is shown with what another one wears. Ours."""


@dataclass(frozen=True, slots=True)
class Face:
    """A real face to learn from.

    Attributes:
        crop: uint8 (112, 112, 3), 0..255, RGB.
        known: what it shows.
        half: 0 or 1, the half of the people that its identity is in.
        source: name of the folder it comes from.
    """

    crop: Bytes
    known: Known
    half: int
    source: str


@dataclass(frozen=True, slots=True)
class Learned:
    """All examples as the head sees them.

    Attributes:
        windows: float16 (n, 100, features).
        visible: float32 (n, 4), as REGIONS; NaN where it is not known.
        shows: what each is, (n,) of text.
        halves: 0 or 1, (n,), whose half each face is in.
    """

    windows: Halves
    visible: Floats
    shows: npt.NDArray[np.str_]
    halves: npt.NDArray[np.intp]


class Features:
    """The recognition network up to the features that the head stands on."""

    def __init__(self, args: argparse.Namespace) -> None:
        model, manifest = headless_model(args.networks / args.network, args.cache)
        if manifest.occlusion is None:
            raise ConfigurationRefused(f"{args.network} names no occlusion feature", "Add `occlusion` to its manifest.")
        target = Target(accelerator=Accelerator.CPU, policy=Policy.STRICT, threads=args.threads)
        self._network = open_network(with_outputs(model, manifest.occlusion.feature), manifest, target)
        self._preprocessing = manifest.preprocessing
        self.occlusion: Occlusion = manifest.occlusion

    def windows(self, crops: Sequence[Bytes]) -> Halves:
        """What the head sees of each crop."""
        batch = as_batch(np.stack(crops), self._preprocessing)
        return window(next(iter(self._network.run(batch).values())))


def _half(identity: str) -> int:
    """The half of the people that an identity is in, the same wherever it is asked."""
    return hashlib.sha256(identity.encode()).digest()[0] % 2


def real_faces(args: argparse.Namespace) -> list[Face]:
    """Every face of the labelled folder, then those of the further folders, where each photo is its own identity."""
    known = known_covers(args.known) if args.known else {}
    photos = labelled_photos(args.photos)
    paths = [(photo.path, known.get(f"{photo.path.relative_to(args.photos)}", NOTHING)) for photo in photos]
    owners = [(photo.identity, args.photos.name) for photo in photos]
    for folder, file in args.also:
        listed = known_covers(Path(file))
        paths += [(Path(folder) / name, what) for name, what in listed.items()]
        owners += [(name, Path(file).stem) for name in listed]
    detector = detector_from_source(args.networks / args.detector, args.cache)
    crops = face_crops([path for path, _ in paths], detector, args.threads)
    return [
        Face(crop.rgb, what, _half(identity), source)
        for crop, (_, what), (identity, source) in zip(crops, paths, owners, strict=True)
        if crop is not None
    ]


@dataclass(frozen=True, slots=True)
class _Task:
    """How one real face is shown: as it is, or by `made` from a random generator of its own."""

    face: Face
    seed: tuple[int, int, int]
    made: Callable[[Bytes, Floats, Random], Example] | None

    def example(self) -> Example:
        """The example; its name is what the rates are counted by."""
        face = self.face
        if self.made is None:
            return Example(face.crop, face.known.visible, f"{face.source}: {face.known.shows}")
        done = self.made(face.crop, face.known.visible, np.random.default_rng(self.seed))
        # What is drawn on a face of which not all is known, or that is covered already, would blur the counts.
        counted = self.made is drawn_on and face.known.clean
        return Example(done.crop, done.visible, f"drawn: {done.shows or 'nothing'}" if counted else "seen again")


def _wardrobe(faces: Iterable[Face]) -> list[Worn]:
    """What these faces wear that others can be shown with."""
    return [Worn(face.crop, face.known.visible, face.known.shows) for face in faces if can_be_worn(face.known.shows)]


def _tasks(faces: Sequence[Face], seed: int, rounds: int) -> list[_Task]:
    # Nobody wears what a person of the other half wore: the halves must stay strangers.
    wardrobes = [_wardrobe(face for face in faces if face.half == half) for half in (0, 1)]
    tasks = []
    for number, face in enumerate(faces):
        plain, wardrobe = face.known.shows == PLAIN, wardrobes[face.half]
        again = 0 if plain else 1 if face.known.clean else _AGAIN
        wears = plain and bool(wardrobe) and number % _WORN_BY == 0
        ways = [None, *[seen_again] * again, *[drawn_on] * rounds, *[partial(worn, wardrobe=wardrobe)] * wears]
        tasks += [_Task(face, (seed, number, turn), made) for turn, made in enumerate(ways)]
    return tasks


def learned(faces: Sequence[Face], features: Features, args: argparse.Namespace) -> Learned:
    """Every face as it is, seen again and drawn on, run through the network.

    Args:
        faces: at least one.
        features: the network.
        args: `seed` of everything drawn, `rounds` that each face is drawn on, `threads`.
    """
    tasks = _tasks(faces, args.seed, args.rounds)
    parts, visible, shows = [], [], []
    with ThreadPoolExecutor(args.threads) as pool:
        for batch in _batched(progress(pool.map(_Task.example, tasks), len(tasks), "examples")):
            parts.append(features.windows([one.crop for one in batch]))
            visible += [one.visible for one in batch]
            shows += [one.shows for one in batch]
    halves = np.array([task.face.half for task in tasks], np.intp)
    return Learned(np.concatenate(parts), np.stack(visible), np.array(shows), halves)


def _batched(examples: Iterable[Example]) -> Iterator[list[Example]]:
    rest = iter(examples)
    while batch := list(islice(rest, _BATCH)):
        yield batch
