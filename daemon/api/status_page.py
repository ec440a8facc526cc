"""The status page: facts in, HTML out. Built as elements, so that no value can become markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, tostring

from daemon.api.about import About
from daemon.api.condition import Ending, Trouble
from daemon.api.responses import ANSWERS, COMPARED, INTERNAL_ERROR, SUCCESS_CODE
from daemon.api.status_markup import NOTHING, Table, element
from daemon.api.status_plots import bars, lines
from daemon.recent import Minute, percentile_ms

_REFRESH_S = 30
_SOON_DAYS = 30
"""A technician comes by within a month, as doctor has it."""

_FAULTS = (INTERNAL_ERROR.code, 5003)
"""Codes that the device is to blame for. Source: the contract's table of codes."""

_MEANINGS = {answer.code: answer.message for answer in (COMPARED, INTERNAL_ERROR, *ANSWERS.values())}
_KINDS = (("compared", "compared"), ("refused", "refused"), ("fault", "fault of the device, or too busy"))
"""Style and name of the three kinds of answers."""

_HOUR = ("60 minutes ago", "now")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the page shows.

    Attributes:
        about: what the device is made of.
        troubles: why it does not serve.
        weaknesses: what needs a technician though it serves.
        minutes: the last hour.
        queue: requests worked on, waiting, and how many may wait.
        temperatures_c: degrees by zone.
        memory_bytes: of the service; None where it is not known.
        endings: keys and certificates, what ends first first.
        now: the time, UTC.
    """

    about: About
    troubles: Sequence[Trouble]
    weaknesses: Sequence[Trouble]
    minutes: Sequence[Minute]
    queue: tuple[int, int, int]
    temperatures_c: dict[str, float]
    memory_bytes: int | None
    endings: Sequence[Ending]
    now: datetime


def page(facts: Facts, style: str) -> bytes:
    """The page, HTML in UTF-8.

    Args:
        facts: what it shows.
        style: its style sheet, byte for byte what the policy has the hash of.
    """
    head = element(
        "head",
        Element("meta", {"charset": "utf-8"}),
        Element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        Element("meta", {"http-equiv": "refresh", "content": str(_REFRESH_S)}),
        element("title", f"faceverifyd: {'not ready' if facts.troubles else 'ready'}"),
        element("style", style),
    )
    body = element(
        "body",
        element("h1", "faceverifyd ", element("span", f"· {_time(facts.now)}", style="quiet")),
        element("main", _banner(facts), *_weaknesses(facts), _tiles(facts), _plots(facts), _tables(facts)),
        element(
            "p", f"The page shows the last hour, by the minute, and asks again every {_REFRESH_S} s.", style="quiet"
        ),
    )
    document = element("html", head, body)
    document.set("lang", "en")
    return b"<!DOCTYPE html>\n" + bytes(tostring(document, "utf-8", "html"))


def _banner(facts: Facts) -> Element:
    if not facts.troubles:
        said = f"since {_time(facts.about.started_utc)}; keys opened, engines proven"
        return element(
            "section", element("strong", "Ready"), element("p", f"The device serves, {said}."), style="banner good"
        )
    why = element("p", "Terminals get no score until this is mended:")
    return element("section", element("strong", "Not ready"), why, _what_to_do(facts.troubles), style="banner bad")


def _weaknesses(facts: Facts) -> list[Element]:
    if not facts.weaknesses:
        return []
    return [element("section", element("strong", "To do"), _what_to_do(facts.weaknesses), style="banner warn")]


def _what_to_do(troubles: Iterable[Trouble]) -> Element:
    rows = (element("li", trouble.seen, element("code", trouble.remedy, style="remedy")) for trouble in troubles)
    return element("ul", *rows)


def _tiles(facts: Facts) -> Element:
    codes = _codes(facts)
    running, waiting, waiting_limit = facts.queue
    middle, slow = (_ms(percentile_ms(facts.minutes, percent)) for percent in (50, 95))
    warmest = max(facts.temperatures_c.values(), default=None)
    memory = NOTHING if facts.memory_bytes is None else f"{facts.memory_bytes >> 20:,} MiB"
    tiles = [
        ("requests in the last hour", f"{codes.total():,}"),
        ("compared", _share(codes[SUCCESS_CODE], codes.total())),
        ("half are answered within", middle),
        ("95 % are answered within", slow),
        ("faults of the device, or too busy", f"{sum(codes[code] for code in _FAULTS):,}"),
        (f"wait now, of {waiting_limit} at most; {running} are worked on", f"{waiting}"),
        ("warmest sensor", NOTHING if warmest is None else f"{warmest:.0f} °C"),
        ("memory of the service", memory),
    ]
    drawn = (
        element("div", element("b", value), element("span", name, style="quiet"), style="tile") for name, value in tiles
    )
    return element("section", *drawn, style="tiles")


def _plots(facts: Facts) -> Element:
    minutes = facts.minutes
    if not _codes(facts):
        return element("section", element("p", "No request in the last hour: nothing to plot.", style="quiet card"))
    stacks = [_by_kind(minute.codes) for minute in minutes]
    most = max((sum(stack) for stack in stacks), default=0)
    waits = [[minute.waiting_max] for minute in minutes]
    longest = max((minute.waiting_max for minute in minutes), default=0)
    series = [[minute.percentile_ms(percent) for minute in minutes] for percent in (50, 95)]
    slowest = max((value for values in series for value in values if value is not None), default=None)
    styles = [style for style, _ in _KINDS]
    answered = bars(stacks, styles, f"Requests by the minute over the last hour, at most {most}")
    took = lines(series, ("compared", "second"), f"Time to the answer by the minute, at most {_ms(slowest)}")
    waited = bars(waits, ("compared",), f"Longest queue by the minute, at most {longest}")
    return element(
        "section",
        _plot("Requests per minute", f"{most}", answered, _KINDS),
        _plot("Time to the answer", _ms(slowest), took, (("compared", "half within"), ("second", "95 % within"))),
        _plot("Longest queue", f"{longest}", waited, ()),
        style="plots",
    )


def _plot(title: str, top: str, plot: Element, kinds: Iterable[tuple[str, str]]) -> Element:
    scale = element("div", element("span", f"top: {top}"), style="scale")
    times = element("div", *(element("span", time) for time in _HOUR), style="scale")
    key = element("p", *(element("span", element("i", style=style), name, style="key") for style, name in kinds))
    return element("div", element("h2", title), scale, plot, times, key, style="card")


def _tables(facts: Facts) -> Element:
    about, codes = facts.about, _codes(facts)
    answers = [
        (str(code), _MEANINGS.get(code, ""), f"{times:,}", _share(times, codes.total()))
        for code, times in sorted(codes.items())
    ]
    made = [
        ("release", about.release),
        ("software", f"onnxruntime {about.onnxruntime}, Python {about.python}"),
        *(
            (f"engine {row.network}", f"{row.engine} on {row.accelerator}, built {row.built_utc[:10]}")
            for row in about.engines
        ),
        ("calibration", f"{about.calibration}, made {about.calibrated_utc[:10]}"),
    ]
    zones = [(zone, f"{degrees:.1f} °C") for zone, degrees in sorted(facts.temperatures_c.items())]
    return element(
        "section",
        Table(
            "Answers in the last hour", ("code", "meaning", "#times", "#share"), answers, "no request in the last hour"
        ).card(),
        _ending_card(facts),
        Table("What serves", ("part", "id"), made).card(),
        Table("Temperature", ("zone", "#now"), zones, "this machine measures none").card(),
        style="cards",
    )


def _ending_card(facts: Facts) -> Element:
    rows, styles = [], []
    for ending in facts.endings:
        left = None if ending.ends is None else (ending.ends - facts.now.date()).days
        when = "no last day" if left is None else f"{ending.ends} {NOTHING} {_days(left)}"
        rows.append((f"{ending.what} {ending.name}", ending.state, when))
        styles.append("" if left is None or left > _SOON_DAYS else ("over" if left < 0 else "soon"))
    names = ("key or certificate", "state", "#last day")
    return Table("Keys and certificates", names, rows, "none is held", styles).card()


def _codes(facts: Facts) -> Counter[int]:
    codes: Counter[int] = Counter()
    for minute in facts.minutes:
        codes.update(minute.codes)
    return codes


def _by_kind(codes: Counter[int]) -> list[int]:
    """Answers of a minute: compared, refused, faults."""
    faults = sum(codes[code] for code in _FAULTS)
    return [codes[SUCCESS_CODE], codes.total() - codes[SUCCESS_CODE] - faults, faults]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}\N{NO-BREAK SPACE}%" if whole else NOTHING


def _ms(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def _days(left: int) -> str:
    if left < 0:
        return f"over for {-left}\N{NO-BREAK SPACE}days"
    return "ends today" if left == 0 else f"{left}\N{NO-BREAK SPACE}days"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
