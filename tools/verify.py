"""`fvctl verify A B`: seals two photos as a terminal does, asks a daemon for their score, and explains the answer."""

from __future__ import annotations

import argparse
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.api.health import JWKS_PATH
from daemon.api.intake import AUTO_ROTATE, CHECK_QUALITY, FIRST_PHOTO, SECOND_PHOTO
from daemon.api.responses import SUCCESS_CODE
from daemon.api.verification import PATH
from daemon.config import load_config
from daemon.errors import ConfigurationRefused
from tools.console import NEEDS_DOING, OK, show
from tools.mapping import declared_fmr
from tools.sealing import Sealer, jwe_sealer

RECOMMENDED_THRESHOLD = 0.7
"""Above this score the contract recommends to take both photos for one person."""

_TABLE_ENDS = 0.9
"""The contract's table of false match rates ends here."""

_TIMEOUT_S = 60.0
"""Longer than the shipped server.receive_s and admission.deadline_s together."""

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks the daemon itself: a proxy named in the environment is for the internet, and sees no photos."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a daemon answered to one request.

    Attributes:
        status: HTTP status.
        body: the JSON object.
        field: parameter or photo at fault, as the daemon names it.
        timing: Server-Timing as sent.
    """

    status: int
    body: dict[str, Any]
    field: str | None
    timing: str | None


def ask(url: str, form: dict[str, str], token: str | None = None) -> Answered:
    """Post a form to the verification endpoint.

    Args:
        url: of the daemon, such as http://127.0.0.1:3000.
        form: parameters by wire name.
        token: bearer token of a terminal.

    Raises:
        ConfigurationRefused: no daemon answers there, or something that is none.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationRefused(
            f"{url} is no http address", "Name the daemon like this: --url http://127.0.0.1:3000"
        )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(url.rstrip("/") + PATH, urllib.parse.urlencode(form).encode(), headers)  # noqa: S310
        with _opened(request) as response:
            return _answered(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        raise ConfigurationRefused(
            f"no daemon answers at {url}: {error}", "Start it, or name another with --url."
        ) from error


def _opened(request: urllib.request.Request) -> Any:  # noqa: ANN401 - an HTTP response, refusals included
    try:
        return DIRECT.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as refusal:
        return refusal


def _answered(status: int, headers: Any, body: bytes) -> Answered:  # noqa: ANN401 - http.client's message
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("code"), int):
        raise TypeError("the answer is not one of a faceverifyd")
    if answer["code"] == SUCCESS_CODE and not 0 <= float(answer.get("verification_score") or -1) <= 1:
        raise ValueError("the score is not one of a faceverifyd")
    return Answered(status, answer, headers.get("X-Error-Field"), headers.get("Server-Timing"))


def explain(answer: Answered) -> str:
    """One sentence: what the answer means."""
    if answer.body["code"] != SUCCESS_CODE:
        about = f" ({answer.field})" if answer.field else ""
        return f"not compared: {answer.body['message']}{about}"
    score = float(answer.body["verification_score"])
    if score > RECOMMENDED_THRESHOLD:
        odds = "about 1 in" if score <= _TABLE_ENDS else "fewer than 1 in"
        strangers = round(1 / declared_fmr(min(score, _TABLE_ENDS)))
        return f"the same person, by the recommended threshold; {odds} {strangers:,} strangers scores as high"
    return f"not the same person, by the recommended threshold of {RECOMMENDED_THRESHOLD}"


def fetch_jwks(url: str) -> list[dict[str, Any]]:
    """The keys that a daemon publishes.

    Args:
        url: of the daemon.

    Raises:
        ConfigurationRefused: none answers there, or it publishes no key.
    """
    try:
        with DIRECT.open(url.rstrip("/") + JWKS_PATH, timeout=_TIMEOUT_S) as response:
            keys = json.loads(response.read())["keys"]
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ConfigurationRefused(f"no daemon answers at {url}: {error}", "Start it, or name another.") from error
    if not keys:
        raise ConfigurationRefused(f"{url} publishes no key", "Make one: fvctl keys add --activate")
    return list(keys)


def sealed_form(seal: Sealer, photos: tuple[bytes, bytes]) -> dict[str, str]:
    """Two photos sealed, as parameters of a request."""
    return {FIRST_PHOTO: seal(photos[0]), SECOND_PHOTO: seal(photos[1])}


def run(args: argparse.Namespace) -> int:
    """Verify two photos through the daemon."""
    config = load_config(args.config)
    url = args.url or f"http://{config.server.bind[0]}"
    options = {AUTO_ROTATE: str(args.auto_rotate).lower(), CHECK_QUALITY: str(args.check_quality).lower()}
    photos = (_content(args.first), _content(args.second))
    token = _content(args.token).decode("ascii", "replace").strip() if args.token else None
    answer = ask(url, sealed_form(jwe_sealer(fetch_jwks(url)[0]), photos) | options, token)
    fields = {**answer.body, "http_status": answer.status, "timing": answer.timing, "meaning": explain(answer)}
    show(fields, args.json)
    return OK if answer.body["code"] == SUCCESS_CODE else NEEDS_DOING


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error.strerror}", "Name a file that exists.") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("first", type=Path, help="photo one")
    parser.add_argument("second", type=Path, help="photo two")
    parser.add_argument("--url", help="address of the daemon (default: where the configuration binds)")
    parser.add_argument("--token", type=Path, help="file with the bearer token of a terminal")
    parser.add_argument("--auto-rotate", action="store_true", help="look for an upright face in turned photos too")
    parser.add_argument("--check-quality", action="store_true", help="refuse a covered face")
