"""The page says whether the device serves, what to do, and what ends; of every value it shows text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from html import unescape

import pytest

from daemon.api.about import About, Engine
from daemon.api.condition import Ending, Trouble
from daemon.api.status_page import Facts, page
from daemon.recent import Recent

NOW = datetime(2026, 11, 25, 21, 30, tzinfo=timezone.utc)
ABOUT = About(
    release="0.2.0",
    python="3.12.7",
    onnxruntime="1.23.2",
    engines=(Engine("yunet", "tensorrt", "49f000ec501fef24", "87fe1ad33e4e3a22", "2026-11-20T08:12:00+00:00"),),
    calibration="9d1f7c2ab0e4d863",
    calibrated_utc="2026-11-22T10:00:00+00:00",
    started_utc=NOW - timedelta(days=3),
    asked="tensorrt",
)


def _hour(*codes: int) -> Recent:
    recent = Recent(lambda: 6000.0, lambda: 0)
    for code in codes:
        recent.add(code, 100.0)
    return recent


IDLE = Facts(ABOUT, [], [], _hour().minutes(), (0, 0, 28), {}, None, [], NOW)


def _shown(facts: Facts) -> str:
    """The text of the page."""
    markup = page(facts, "p { color: red; }").decode().partition("<body>")[2]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", markup)))


def test_a_device_that_serves_is_ready() -> None:
    shown = _shown(IDLE)
    assert "Ready The device serves, since 2026-11-22 21:30 UTC" in shown
    assert "No request in the last hour" in shown


def test_a_device_that_does_not_serve_says_why_and_what_to_do() -> None:
    troubles = [Trouble("keys_unreadable", "the store has mode 0644", "chmod 600 keystore.json")]
    shown = _shown(replace(IDLE, troubles=troubles))
    assert "Not ready" in shown
    assert "the store has mode 0644 chmod 600 keystore.json" in shown
    assert b"<title>faceverifyd: not ready</title>" in page(replace(IDLE, troubles=troubles), "")


def test_what_needs_a_technician_is_to_do() -> None:
    shown = _shown(replace(IDLE, weaknesses=[Trouble("weak", "a weak format", "turn it off")]))
    assert "Ready" in shown
    assert "To do a weak format turn it off" in shown


def test_answers_are_shown_by_code_meaning_and_share() -> None:
    shown = _shown(replace(IDLE, minutes=_hour(1000, 1000, 4000, 5003).minutes()))
    assert "4 requests in the last hour 50.0 % compared" in shown
    assert "4000 detection failed 1 25.0 %" in shown
    assert "1 faults of the device, or too busy" in shown


def test_the_hour_is_plotted_for_those_who_do_not_see_it_too() -> None:
    markup = page(replace(IDLE, minutes=_hour(1000).minutes()), "").decode()
    assert 'aria-label="Requests by the minute over the last hour, at most 1"' in markup
    assert markup.count("<svg") == 3


def test_ids_and_accelerator_are_shown() -> None:
    shown = _shown(IDLE)
    for text in ("0.2.0", "onnxruntime 1.23.2", "49f000ec501fef24 on tensorrt", "9d1f7c2ab0e4d863"):
        assert text in shown


@pytest.mark.parametrize(
    ("days", "text", "style"),
    [(-2, "over for 2 days", "over"), (0, "ends today", "soon"), (30, "30 days", "soon"), (31, "31 days", "")],
)
def test_what_ends_soon_stands_out(days: int, text: str, style: str) -> None:
    endings = [Ending("key", "x25519-1", "active", date(2026, 11, 25) + timedelta(days=days))]
    facts = replace(IDLE, endings=endings)
    assert text in _shown(facts)
    (row,) = re.findall(r"<tr( class=\"\w+\")?><td>key x25519-1", page(facts, "").decode())
    assert row == (f' class="{style}"' if style else "")


def test_a_key_without_a_last_day_says_so() -> None:
    assert "key k active no last day" in _shown(replace(IDLE, endings=[Ending("key", "k", "active", None)]))


def test_temperature_and_memory_are_shown_where_they_are_known() -> None:
    assert "warmest sensor" in _shown(IDLE)
    shown = _shown(replace(IDLE, temperatures_c={"cpu": 51.5, "gpu": 49.0}, memory_bytes=734 << 20))
    assert "52 °C warmest sensor" in shown
    assert "734 MiB" in shown
    assert "gpu 49.0 °C" in shown


def test_no_value_becomes_markup() -> None:
    endings = [Ending("key", "<script>alert(1)</script>", "<b>", None)]
    assert b"<script" not in page(replace(IDLE, endings=endings), "")


def test_the_style_sheet_is_what_the_policy_has_the_hash_of() -> None:
    style = 'a > b { content: "<&"; }\n'
    assert f"<style>{style}</style>" in page(IDLE, style).decode()
