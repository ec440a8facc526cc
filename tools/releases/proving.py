"""`python -m tools.releases.proving CONFIG RELEASE`: a release computes known answers on this device; how fast.

Run by the release's own Python, before it serves and again while it does: both engines against the release's golden
vectors, and comparisons of the sample photos through the eight steps but the first. Prints JSON; exit code 1 where
something is wrong.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from daemon.app import load_networks, make_stages
from daemon.audit import Stopwatch
from daemon.config import load_config
from daemon.errors import DeviceError, EngineRefused
from daemon.inference.golden import check_golden
from daemon.pipeline import Pipeline
from daemon.pool import started_pool
from daemon.records import SealedPhoto, Sender, VerificationRequest
from daemon.sealed.buffers import PlainPhoto
from daemon.sealed.opener import Opener
from tools.samples import sample_photos

_ROUNDS = 3
_THRESHOLD = 0.7
"""Source: the contract's recommended threshold."""
_NOBODY = Sender("proof", legacy=False)


class _Unsealed(Opener):
    """Step 1 without keys, which the daemon alone can open: what is asked for by name is at hand."""

    def __init__(self, photos: dict[str, bytes]) -> None:
        self._photos = photos

    def open(self, text: str, sender: Sender) -> PlainPhoto:
        """The photo of that name."""
        return PlainPhoto(bytearray(self._photos[text]))


def prove(config_file: Path, release: Path) -> dict[str, float]:
    """Compare what this device computes with what the release must compute.

    Returns:
        The least cosine to a golden vector, the scores of a mated and a non-mated pair, and the median milliseconds of
        one comparison.

    Raises:
        DeviceError: something is missing, does not fit together or computes something else.
    """
    config = load_config(config_file)
    networks = load_networks(config.inference)
    loaded = (networks.detection, networks.recognition)
    cosines = [
        check_golden(network, (release / "golden" / f"{network.manifest.name}.npz").read_bytes()) for network in loaded
    ]
    stages = make_stages(config, networks, _Unsealed(sample_photos(release / "networks")))
    pipeline = Pipeline(stages, started_pool(config.admission.running, "proof"))
    mated, non_mated = _timed(pipeline, "obama2", _ROUNDS), _timed(pipeline, "biden", 1)
    if not mated[0] > _THRESHOLD > non_mated[0]:
        raise EngineRefused(
            f"a mated pair scores {mated[0]:.3f} and a non-mated one {non_mated[0]:.3f}; between them {_THRESHOLD} is "
            "expected",
            "Run: fvctl engines build",
        )
    return {
        "cosine": min(cosines),
        "mated": mated[0],
        "non_mated": non_mated[0],
        "comparison_ms": statistics.median(mated[1]),
    }


def _timed(pipeline: Pipeline, second: str, rounds: int) -> tuple[float, list[float]]:
    """The score of a pair, and the milliseconds of each of a few comparisons."""
    photos = (SealedPhoto("first", "obama"), SealedPhoto("second", second))
    asked, took_ms = VerificationRequest(_NOBODY, photos, False, False), []
    for _ in range(rounds):
        began = time.perf_counter()
        score = pipeline.verify(asked, Stopwatch())
        took_ms.append((time.perf_counter() - began) * 1000)
    return score, took_ms


def main() -> int:
    """Prove it, and say what came of it."""
    try:
        found: dict[str, object] = {"ok": True, **prove(Path(sys.argv[1]), Path(sys.argv[2]))}
    except DeviceError as error:
        found = {"ok": False, "seen": str(error.args[0]), "remedy": error.remedy}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
