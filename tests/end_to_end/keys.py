"""`fvctl keys` on the store of a daemon that runs, and photos sealed as terminals do."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from daemon.api.health import JWKS_PATH
from tests.end_to_end.contract import FIRST, SECOND
from tests.running_daemon import Answer, RunningDaemon
from tools.cli import main
from tools.sealing import jwe_sealer


def fvctl(config: Path, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    """What an action of `fvctl keys` prints; it must end with the code."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        ended = main(["keys", *arguments, "--json", "--config", str(config)])
    assert ended == code, printed.getvalue()
    return json.loads(printed.getvalue()) if printed.getvalue() else None


def jwks(daemon: RunningDaemon) -> list[dict[str, str]]:
    """The public keys as terminals fetch them now."""
    answer = daemon.get(JWKS_PATH)
    assert answer.status == 200, answer.body
    found: list[dict[str, str]] = answer.json["keys"]
    return found


def ask(daemon: RunningDaemon, jwk: Mapping[str, str], first: bytes, second: bytes) -> Answer:
    """Ask for two photos' score, both sealed to one key."""
    seal = jwe_sealer(dict(jwk))
    return daemon.verify({FIRST: seal(first), SECOND: seal(second)})
