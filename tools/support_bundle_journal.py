"""The daemon's journal for a support bundle: lines of the daemon alone, each field by a rule of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from daemon.api.intake import AUTO_ROTATE, CHECK_QUALITY, FIRST_PHOTO, SECOND_PHOTO
from daemon.api.verification import PATH
from daemon.audit import LOG_FIELDS
from daemon.errors import ConfigurationRefused
from daemon.records import Step
from tools.service_manager import SERVICE, journal
from tools.support_bundle_names import Pseudonyms

_SINCE = ("-1 day", "-1 hour")
"""A day; of a device so busy that its day cannot be read in time, an hour."""

_ROUTES = (PATH, "none", "/healthz", "/readyz", "/metrics", "/status", "/openapi.yaml", "/.well-known/jwks.json")
_PARAMETERS = (FIRST_PHOTO, SECOND_PHOTO, AUTO_ROTATE, CHECK_QUALITY)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+00:00")
_FRAME = re.compile(r"(?:^|/)((?:daemon|tools)/[\w/]+\.py|\w+\.py):(\d{1,6}) ([\w<>]+)$")

Field = Callable[[Any, Pseudonyms], Any]


def _one_of(*allowed: str) -> Field:
    return lambda value, _names: value if value in allowed else None


def _number(value: Any, _names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(value: Any, names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    return names.text(value) if isinstance(value, str) else None


def _terminal(value: Any, names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    """One that is not known any more may stand in the reason too: it is learned."""
    if not isinstance(value, str) or not value:
        return None
    if value.casefold() not in names.given:
        names.learn("terminal", value)
    return names.of("terminal", value)


def _request(value: Any, names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    return names.of("request", value) if isinstance(value, str) and value else None


def _time(value: Any, _names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) and _TIME.fullmatch(value) else None


def _steps(value: Any, names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    known = value if isinstance(value, dict) else {}
    return {step.value: _number(known[step.value], names) for step in Step if step.value in known} or None


def _frames(value: Any, names: Pseudonyms) -> Any:  # noqa: ANN401 - JSON
    found = [_FRAME.search(frame) for frame in value if isinstance(frame, str)] if isinstance(value, list) else []
    return [names.text(f"{frame[1]}:{frame[2]} {frame[3]}") for frame in found if frame] or None


_FIELDS: dict[str, Field] = {
    "time_utc": _time,
    "level": _one_of("info", "warning", "error"),
    "event": _text,
    "request_id": _request,
    "terminal": _terminal,
    "route": _one_of(*_ROUTES),
    "status": _number,
    "code": _number,
    "field": _one_of(*_PARAMETERS),
    "reason": _text,
    "remedy": _text,
    "duration_ms": _number,
    "steps_ms": _steps,
    "error": _text,
    "frames": _frames,
}
"""Field of a line to what of it goes into a bundle; what has no rule stays out."""


def lines_of_unit(count: int) -> list[str]:
    """The last lines that the daemon wrote, oldest first.

    Raises:
        ConfigurationRefused: there is no journal, or this account may not read it.
    """
    try:
        with suppress(ConfigurationRefused):
            return journal(SERVICE, _SINCE[0])[-count:]
        return journal(SERVICE, _SINCE[1])[-count:]
    except PermissionError:
        raise ConfigurationRefused("the journal is for root to read", "Ask again as root: sudo fvctl") from None


def lines_of_file(path: Path, count: int) -> list[str]:
    """The last lines of a file that somebody kept, oldest first.

    Raises:
        ConfigurationRefused: it cannot be read.
    """
    try:
        return path.read_text("utf-8", "replace").splitlines()[-count:]
    except OSError as error:
        raise ConfigurationRefused(f"{path} cannot be read: {error.strerror}", "Name another: --journal") from None


def redacted(lines: Iterable[str], names: Pseudonyms) -> Iterator[dict[str, Any]]:
    """The daemon's events among the lines, with what of each field may leave; other lines are left out."""
    for line in lines:
        event = _event(line)
        if event:
            kept = {name: _FIELDS[name](event[name], names) for name in LOG_FIELDS if name in event}
            yield {name: value for name, value in kept.items() if value is not None}


def _event(line: str) -> dict[str, Any]:
    """The event in a line; empty where it is another's."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else {}
