"""Whether a refusal's time says why a sealed photo did not open: every reason measured against every other.

All situations of an algorithm are measured in turns, in an order drawn anew each time, on texts of the same length.
Two numbers say how far two reasons lie apart: Welch's t after cropping, as dudect counts it, and an interval for the
difference of medians. Source: Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?", 2017.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from daemon.errors import SealedPhotoRefused
from daemon.records import Doubles
from daemon.sealed.jwe import JweFormat
from daemon.sealed.keys import KeyKind, OpeningKey, Secret, base64url, public_jwk
from tools.sealing import seal

KINDS = (KeyKind.X25519, KeyKind.P256, KeyKind.RSA, KeyKind.DIRECT)
"""Kinds of keys that photos are sealed to."""

T_MAX = 4.5
"""Beyond it two reasons are told apart. Source: the threshold of dudect."""

CROP = 0.9
"""Source: Reparaz and others crop at several percentiles; this one keeps what the scheduler did not touch."""

_OPENS = "right key"
_RESAMPLES = 1000
_OWN, _OTHER = "bench-terminal-1", "bench-terminal-2"
_KID, _SECOND, _FOREIGN, _UNKNOWN = "bench-key-1", "bench-key-2", "bench-key-3", "bench-key-0"
"""Ids of the same length, so that all texts of an algorithm have one, too."""


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one situation took.

    Attributes:
        kind: what kind of key the photo was sealed to.
        situation: what was the matter with it.
        times_us: float64 (n,), microseconds.
    """

    kind: KeyKind
    situation: str
    times_us: Doubles

    @property
    def median_us(self) -> float:
        """Median time."""
        return float(np.median(self.times_us))


@dataclass(frozen=True, slots=True)
class Apart:
    """How far the times of two refusals lie apart.

    Attributes:
        kind: what kind of key the photo was sealed to.
        situations: the two reasons.
        t: Welch's t of the cropped times; beyond T_MAX either way they are told apart.
        low_us, high_us: 95 % interval for the difference of medians, by bootstrap.
    """

    kind: KeyKind
    situations: tuple[str, str]
    t: float
    low_us: float
    high_us: float

    @property
    def told_apart(self) -> bool:
        """Whether the time gives the reason away."""
        return abs(self.t) > T_MAX


@dataclass(frozen=True, slots=True)
class _Bench:
    """Sealed photos to one kind of key, by situation, and the keys of the device that is asked."""

    kind: KeyKind
    keys: dict[str, OpeningKey]
    texts: dict[str, bytes]


def measure_opening(make: Callable[[KeyKind], Secret], photo_bytes: int, rounds: int) -> Iterator[list[Timed]]:
    """Times of all situations, one list for each kind of key.

    Args:
        make: makes the secret of a new key.
        photo_bytes: size of the sealed photo.
        rounds: how often each situation is measured.
    """
    photo = os.urandom(photo_bytes)
    for kind in KINDS:
        yield _measured(_bench(kind, make, photo), rounds)


def compare_refusals(timed: list[Timed], draw: np.random.Generator, crop: float = CROP) -> list[Apart]:
    """Every refusal's times against every other's.

    Args:
        timed: situations of one kind of key.
        draw: draws the samples of the bootstrap.
        crop: share of the times that count for t, the shortest: what is longer is the machine's, not the code's.
    """
    refusals = [row for row in timed if row.situation != _OPENS]
    pairs = itertools.combinations(refusals, 2)
    return [
        Apart(one.kind, (one.situation, other.situation), _t(one, other, crop), *_interval_us(one, other, draw))
        for one, other in pairs
    ]


def _bench(kind: KeyKind, make: Callable[[KeyKind], Secret], photo: bytes) -> _Bench:
    owner = _OWN if kind is KeyKind.DIRECT else None
    keys = {
        _KID: OpeningKey(_KID, kind, owner, make(kind)),
        _SECOND: OpeningKey(_SECOND, kind, owner, make(kind)),
        _FOREIGN: OpeningKey(_FOREIGN, kind, _OTHER, make(kind)),
    }
    right = seal(photo, _jwk(keys[_KID]), {})
    head, _, tag = right.rpartition(".")
    texts = {
        _OPENS: right,
        "wrong key": seal(photo, _jwk(keys[_SECOND]) | {"kid": _KID}, {}),
        "wrong tag": f"{head}.{'B' if tag[0] == 'A' else 'A'}{tag[1:]}",
        "unknown key id": seal(photo, _jwk(keys[_KID]) | {"kid": _UNKNOWN}, {}),
        "truncated": seal(photo[:-1], _jwk(keys[_KID]), {}).rpartition(".")[0] + f".{tag}",
        "another terminal's": seal(photo, _jwk(keys[_FOREIGN]), {}),
    }
    return _Bench(kind, keys, {situation: text.encode("ascii") for situation, text in texts.items()})


def _jwk(key: OpeningKey) -> dict[str, str]:
    if isinstance(key.secret, bytes):
        return {"kty": "oct", "k": base64url(key.secret), "kid": key.kid}
    return public_jwk(key.kid, key.kind, key.secret) or {}


def _measured(bench: _Bench, rounds: int) -> list[Timed]:
    opener, draw = JweFormat(None), np.random.default_rng()
    names = list(bench.texts)
    times: dict[str, list[float]] = {name: [] for name in names}
    collected = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for place in draw.permutation(len(names)):
                name = names[place]
                times[name].append(_time_us(opener, bench.texts[name], bench.keys))
    finally:
        if collected:
            gc.enable()
    return [Timed(bench.kind, name, np.array(times[name])) for name in names]


def _time_us(opener: JweFormat, sealed: bytes, keys: Mapping[str, OpeningKey]) -> float:
    text = sealed.decode("ascii")  # a new text each time, so that none lies better in the cache than another
    start = time.perf_counter_ns()
    with contextlib.suppress(SealedPhotoRefused):
        opener.open(text, keys, _OWN)
    return (time.perf_counter_ns() - start) / 1000


def _t(one: Timed, other: Timed, crop: float) -> float:
    limit = np.quantile(np.concatenate([one.times_us, other.times_us]), crop)
    first, second = (row.times_us[row.times_us <= limit] for row in (one, other))
    error = np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return float((first.mean() - second.mean()) / error)


def _interval_us(one: Timed, other: Timed, draw: np.random.Generator) -> tuple[float, float]:
    low, high = np.quantile(_medians(one.times_us, draw) - _medians(other.times_us, draw), [0.025, 0.975])
    return float(low), float(high)


def _medians(times: Doubles, draw: np.random.Generator) -> Doubles:
    """Medians of samples drawn with replacement."""
    drawn = [np.median(draw.choice(times, len(times))) for _ in range(_RESAMPLES)]
    return np.array(drawn, np.float64)
