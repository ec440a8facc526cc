"""Tens of thousands of mixed requests while workers are killed: nobody ever gets somebody else's score.

    python -m tests.soak --requests 50000 --kill-every 500 --steady 10000

Prints what was seen as JSON and ends with 1 where something is not as it must be. `--steady` asks so many more of one
worker that nobody kills, and looks at its memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from PIL import ImageEnhance

from daemon.api.health import JWKS_PATH
from daemon.api.verification import PATH
from daemon.config import load_config
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey
from tests.conftest import STATE, Site
from tests.end_to_end.contract import FIRST, SECOND, split_answers
from tests.end_to_end.photos import encoded, opened, plain, scaled
from tests.running_daemon import FORM, RunningDaemon
from tools.engines import build_engine
from tools.samples import sample_photos
from tools.sealing import jwe_sealer

_WIDTH_PX = 128
_THREADS = 8
_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
_PACE_S = 0.02
_WARM = 2000
"""After so many requests a worker's memory is what it stays: every thread and every size has been used."""


class Body(NamedTuple):
    """One request, and the code and the score that are its own; no code where the sender goes before the answer."""

    content: bytes
    content_type: str
    code: int
    score: float | None = None


Told = tuple[int, float | None]


class Seen(NamedTuple):
    """What became of a request; no answer where the connection was lost."""

    began_s: float
    ended_s: float
    told: Told | None
    wanted: Told


class Kill(NamedTuple):
    """A worker's end: it came between these moments."""

    from_s: float
    to_s: float


@dataclass
class Sum:
    """Everything that was seen."""

    seen: list[Seen] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)

    def wrong(self) -> list[Seen]:
        """Answers that are not those of their own photos."""
        return [one for one in self.seen if one.told is not None and one.told != one.wanted]

    def lost(self) -> list[Seen]:
        """Requests that got no answer though no worker was killed while they were on their way."""
        return [one for one in self.seen if one.told is None and not self._was_hit(one)]

    def hit(self) -> list[Seen]:
        """Requests that got no answer because their worker was killed."""
        return [one for one in self.seen if one.told is None and self._was_hit(one)]

    def _was_hit(self, one: Seen) -> bool:
        return any(one.began_s <= kill.to_s and kill.from_s <= one.ended_s for kill in self.kills)

    def back_s(self) -> list[float]:
        """Seconds from each kill to the first answer to a request that was sent after it."""
        answered = [one for one in self.seen if one.told is not None]
        after = [[one.ended_s for one in answered if one.began_s > kill.to_s] for kill in self.kills]
        return [min(ends) - kill.to_s for ends, kill in zip(after, self.kills, strict=True) if ends]


def pairs(samples: dict[str, bytes]) -> list[tuple[bytes, bytes]]:
    """Twelve pairs of small photos, each with a score of its own."""

    def variants(name: str, levels: Sequence[float]) -> list[bytes]:
        picture = opened(scaled(samples[name], _WIDTH_PX))
        return [encoded(ImageEnhance.Brightness(picture).enhance(level), "JPEG") for level in levels]

    others = [photo for name in ("obama", "obama2") for photo in variants(name, (0.6, 1.0, 1.4))]
    return list(itertools.product(variants("biden", (0.8, 1.2)), others))


def bodies(daemon: RunningDaemon, samples: dict[str, bytes]) -> list[Body]:
    """Good requests in both formats and bad ones; the scores are what the daemon said when asked one at a time."""
    legacy = LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode())).seal
    jwe = jwe_sealer(daemon.get(JWKS_PATH).json["keys"][0])
    made = []
    for first, second in pairs(samples):
        score = daemon.verify({FIRST: legacy(first), SECOND: legacy(second)}).json["verification_score"]
        made.append(_form(legacy(first), legacy(second), (1000, score)))
        made.append(_document(jwe(first), jwe(second), (1000, score)))
    assert len({body.score for body in made}) == len(made) // 2, "every pair has a score of its own"
    good = pairs(samples)[0][0]
    for bad, code in ((b"no photo", 2005), (plain(64, 64), 4000), (plain(7, 7), 2003), (b"", 2004)):
        made += [_form(legacy(good), legacy(bad), (code, None)), _document(jwe(bad), jwe(good), (code, None))]
    return [*made, _form("AAAA", legacy(good), (1200, None)), Body(b'{"', "application/json", 1200)]


def _form(first: str, second: str, told: Told) -> Body:
    return Body(urlencode({FIRST: first, SECOND: second}).encode(), FORM, *told)


def _document(first: str, second: str, told: Told) -> Body:
    return Body(json.dumps({FIRST: first, SECOND: second}).encode(), "application/json", *told)


class Terminals:
    """Send requests to one address, each on a connection of its own: at once, dripping, or never to the end."""

    def __init__(self, port: int, made: Sequence[Body]) -> None:
        self._port = port
        self._good = [body for body in made if body.code == 1000]
        self._bad = [body for body in made if body.code != 1000]

    def send(self, number: int) -> Seen:
        """One request; which one, and how, comes from its number alone."""
        chance = random.Random(number)  # noqa: S311 - which request does not matter
        body, manner = chance.choice(chance.choice((self._good, self._bad))), chance.random()
        began_s, wanted = time.monotonic(), (body.code, body.score)
        if manner < 0.05:
            with suppress(OSError):
                self._cut_off(body, chance)
            return Seen(began_s, time.monotonic(), wanted, wanted)
        try:
            told: Told | None = self._ask(body, 6 if manner < 0.1 else 1)
        except (OSError, ValueError, AssertionError, KeyError):  # cut off in the middle of its answer, or before
            told = None
        return Seen(began_s, time.monotonic(), told, wanted)

    def _ask(self, body: Body, pieces: int) -> Told:
        whole = _request(body)
        step = -(-len(whole) // pieces)
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            for at in range(0, len(whole), step):
                connection.sendall(whole[at : at + step])
                time.sleep(_PACE_S if pieces > 1 else 0)
            (answer,) = split_answers(b"".join(iter(lambda: connection.recv(65536), b"")))
        return answer.json["code"], answer.json.get("verification_score")

    def _cut_off(self, body: Body, chance: random.Random) -> None:
        whole = _request(body)
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            connection.sendall(whole[: chance.randrange(len(whole))])


def _request(body: Body) -> bytes:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: device\r\nConnection: close\r\nContent-Type: {body.content_type}\r\n"
        f"Content-Length: {len(body.content)}\r\n\r\n"
    )
    return head.encode() + body.content


def run(terminals: Terminals, numbers: Iterator[int], before: Callable[[int], None]) -> Sum:
    """Send all requests, some at a time.

    Args:
        terminals: who sends.
        numbers: which requests.
        before: is called with each number before it is sent.
    """
    seen = Sum()

    def send(number: int) -> Seen:
        before(number)
        return terminals.send(number)

    with ThreadPoolExecutor(_THREADS) as threads:
        seen.seen = list(threads.map(send, numbers))
    return seen


def run_with_kills(daemon: RunningDaemon, terminals: Terminals, requests: int, every: int) -> Sum:
    """As `run`, and a worker is killed before each so-many-th request."""
    kills: list[Kill] = []
    how = itertools.cycle(_SIGNALS)
    lock = threading.Lock()

    def kill(number: int) -> None:
        if every and number and number % every == 0:
            with lock:
                worker, from_s = daemon.worker, time.monotonic()
                os.kill(worker, next(how))
                kills.append(Kill(from_s, time.monotonic()))

    seen = run(terminals, iter(range(requests)), kill)
    seen.kills = kills
    return seen


def rss_kib(process: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _steady(daemon: RunningDaemon, terminals: Terminals, requests: int) -> tuple[Sum, dict[int, int]]:
    """As `run`, with the worker's memory at a few moments, KiB by number of requests."""
    memory: dict[int, int] = {}

    def look(number: int) -> None:
        if number in (_WARM, requests // 2, requests - 1):
            memory[number] = rss_kib(daemon.worker)

    return run(terminals, iter(range(requests)), look), memory


def _summary(seen: Sum, steady: Sum, memory: dict[int, int], ready_s: float) -> dict[str, object]:
    codes = Counter(one.told[0] for one in (*seen.seen, *steady.seen) if one.told)
    back_s = sorted(seen.back_s())
    return {
        "requests": len(seen.seen) + len(steady.seen),
        "answers_by_code": dict(sorted(codes.items())),
        "wrong": len(seen.wrong()) + len(steady.wrong()),
        "lost_without_a_kill": len(seen.lost()) + len(steady.lost()),
        "kills": len(seen.kills),
        "lost_to_kills": len(seen.hit()),
        "start_s": round(ready_s, 2),
        "back_after_kill_s": {"median": round(back_s[len(back_s) // 2], 2), "most": round(back_s[-1], 2)}
        if back_s
        else {},
        "rss_kib": memory,
    }


def main(arguments: Sequence[str]) -> int:
    """Start a daemon, and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--kill-every", type=int, default=500)
    parser.add_argument("--steady", type=int, default=10_000)
    asked = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), STATE / "test-engines")
        settings = load_config(site.write()).inference
        for name in (settings.detection, settings.recognition):
            build_engine(settings.networks / name, settings, STATE / "cache")
        began_s = time.monotonic()
        with RunningDaemon(site.write(), Path(folder) / "daemon.log") as daemon:
            ready_s = time.monotonic() - began_s
            terminals = Terminals(daemon.port, bodies(daemon, sample_photos(STATE / "cache")))
            seen = run_with_kills(daemon, terminals, asked.requests, asked.kill_every)
            steady, memory = _steady(daemon, terminals, asked.steady)
    summary = _summary(seen, steady, memory, ready_s)
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    return 1 if summary["wrong"] or summary["lost_without_a_kill"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
