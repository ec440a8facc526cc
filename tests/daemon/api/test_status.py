"""`/status` in a browser: nothing is asked for but the page, nothing breaks its policy, and it fits a phone."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon import __version__
from daemon.sealed.legacy import LegacyFormat
from tests.browser import PROGRAM, Browser
from tests.conftest import STATE, need
from tests.end_to_end.contract import FIRST, SECOND
from tests.running_daemon import Answer, RunningDaemon

PHONE_PX, DESK_PX = (360, 740), (1200, 800)


@pytest.fixture(scope="module")
def asked(daemon: RunningDaemon, samples: dict[str, bytes], legacy: LegacyFormat) -> Answer:
    """The page of a daemon that has just compared two photos and refused others."""
    photos = {FIRST: legacy.seal(samples["obama"]), SECOND: legacy.seal(samples["obama2"])}
    assert daemon.verify(photos).status == 200
    assert daemon.verify(photos | {FIRST: legacy.seal(b"no photo")}).status == 400
    return daemon.get("/status")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, one for all."""
    need(PROGRAM, shutil.which(PROGRAM) is not None)
    with Browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


def test_the_policy_allows_the_pages_own_style_sheet_and_no_more(asked: Answer) -> None:
    (style,) = re.findall(rb"<style>(.*?)</style>", asked.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    policy = dict(rule.strip().split(" ", 1) for rule in asked.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (asked.status, asked.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_nothing_on_the_page_is_loaded_or_run(asked: Answer) -> None:
    assert not re.search(rb"<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import|\bon\w+=|style=", asked.body)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size_px", [PHONE_PX, DESK_PX], ids=["phone", "desk"])
@pytest.mark.usefixtures("asked")
def test_a_browser_shows_it_and_asks_for_nothing_else(
    browser: Browser, daemon: RunningDaemon, size_px: tuple[int, int], scheme: str
) -> None:
    browser.window(*size_px, scheme)
    looked = browser.open(f"{daemon.url}/status")
    pictures = STATE / "status"
    pictures.mkdir(exist_ok=True)
    (pictures / f"{size_px[0]}-{scheme}.png").write_bytes(browser.picture())  # for people to look at
    assert looked.complaints == []
    assert set(looked.requested) <= {f"{daemon.url}/status", f"{daemon.url}/favicon.ico"}
    assert browser.value("document.documentElement.scrollWidth") == size_px[0]
    dark = browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 27)"
    assert dark is (scheme == "dark")


@pytest.mark.usefixtures("asked")
def test_what_a_technician_looks_for_can_be_seen(
    browser: Browser, daemon: RunningDaemon, config_kids: list[str]
) -> None:
    browser.window(*PHONE_PX)
    browser.open(f"{daemon.url}/status")
    seen = browser.value("document.body.innerText")
    wanted = ["Ready", "To do", "fvctl keys add --kind legacy", "Requests per minute", "Time to the answer"]
    for text in [
        *wanted,
        "Longest queue",
        "compared",
        "2005",
        "invalid image type",
        "on cpu",
        __version__,
        *config_kids,
    ]:
        assert text in seen
    plots = "[...document.querySelectorAll('svg')].map(plot => plot.getBoundingClientRect().height)"
    assert browser.value(plots) == [pytest.approx(104)] * 3


@pytest.fixture
def config_kids(daemon: RunningDaemon) -> list[str]:
    """Ids of the keys that the daemon publishes."""
    return [key["kid"] for key in daemon.get("/.well-known/jwks.json").json["keys"]]


def test_nothing_secret_or_biometric_is_on_it(asked: Answer, secrets: Callable[[], list[str]]) -> None:
    text = asked.body.decode()
    assert [secret for secret in secrets() if secret in text] == []
    assert not re.search(r"[0-9a-f]{32}", text)


@pytest.fixture
def secrets(site: object) -> Callable[[], list[str]]:
    """What must not be shown: the key-encryption key and every sealed record."""
    folder: Path = site.folder  # type: ignore[attr-defined]
    sealed = re.findall(r'"sealed": ?"([^"]+)"', (folder / "keys" / "keystore.json").read_text())
    assert sealed
    return lambda: [(folder / "kek").read_text("latin-1").strip(), *sealed]
