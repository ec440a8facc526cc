"""Sends hostile photos through steps 1 and 2 as the daemon runs them, and keeps what came of it."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from daemon.api.responses import answer_to
from daemon.errors import RequestError
from daemon.photo.decoder import REDUCTION_MAX, PhotoDecoder
from daemon.sealed.legacy import LegacyFormat
from tests.fuzz.bombs import bombs, varied
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import seeds

_BOMB_EVERY = 500
"""One photo in so many is a bomb: they are a thousand times as large as the others."""

_CHUNK = 500

GAVE_UP = "its decoder"
"""How the text of a refusal begins where the kernel had to end a decoder."""


@dataclass
class Outcome:
    """What came of the photos.

    Attributes:
        codes: how often each code was the answer; 1000 where the photo decoded.
        faults: seed and exception of whatever was no refusal.
        gave_up: names or seeds of the photos whose decoder had to be ended.
        slowest: seconds by the clock on the wall and the photos' names or seeds, the slowest first.
        resident_mb: memory of this process and of its children, after each chunk of photos.
    """

    codes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    resident_mb: list[tuple[int, int]] = field(default_factory=list)


def hostile_photos(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many photos with their names; the same for the same seed. All bombs come once, if there is room."""
    named, sound = bombs(), seeds()
    yield from list(named.items())[:count]
    for number in range(len(named), count):
        dice = random.Random(f"{seed}:{number}")  # noqa: S311 - a test's random numbers are no secret
        if number % _BOMB_EVERY == 0:
            name = dice.choice(sorted(named))
            yield f"{number}: {name}", varied(named[name], dice)
        else:
            yield str(number), mutated(sound, dice)


class Campaign:
    """Photos through steps 1 and 2.

    Args:
        sealed_format: how they are sealed and opened.
        decoder: step 2.
    """

    def __init__(self, sealed_format: LegacyFormat, decoder: PhotoDecoder) -> None:
        self._format = sealed_format
        self._decoder = decoder
        self.outcome = Outcome()

    def run(self, seed: int, count: int, threads: int) -> Outcome:
        """What came of all of them."""
        photos = hostile_photos(seed, count)
        with ThreadPoolExecutor(threads) as pool:
            while chunk := list(islice(photos, _CHUNK)):
                answers = list(pool.map(lambda named: self._send(*named), chunk))
                self.outcome.codes.update(code for code, _ in answers)
                times = [(took_s, name) for (_, took_s), (name, _) in zip(answers, chunk, strict=True)]
                self.outcome.slowest = sorted(self.outcome.slowest + times, reverse=True)[:20]
                self.outcome.resident_mb.append(resident_mb())
        return self.outcome

    def _send(self, name: str, photo: bytes) -> tuple[int, float]:
        """The code, and the seconds that it took."""
        text = self._format.seal(photo)
        began = time.perf_counter()
        code = self._code(name, text)
        return code, time.perf_counter() - began

    def _code(self, name: str, text: str) -> int:
        try:
            plain = memoryview(self._format.open(text)).toreadonly()
            self._decoder.decode(plain, auto_rotate=True, reduction_max=REDUCTION_MAX)
        except RequestError as refusal:
            if str(refusal).startswith(GAVE_UP):
                self.outcome.gave_up.append(f"{name}: {refusal}")
            return answer_to(refusal).code
        except Exception as fault:  # noqa: BLE001 - this is what the campaign looks for
            self.outcome.faults.append(f"{name}: {fault!r}")
            return 5000
        return 1000


def resident_mb() -> tuple[int, int]:
    """Resident memory of this process, and of all below it."""
    own, below = os.getpid(), 0
    for child in _below(own):
        below += _resident_kb(child)
    return _resident_kb(own) // 1024, below // 1024


def _below(process: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended meanwhile
        for thread in list(Path(f"/proc/{process}/task").iterdir()):
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _below(int(child))


def _resident_kb(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
