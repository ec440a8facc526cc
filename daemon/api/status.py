"""`GET /status`: one page for who stands before the device with a phone. Nothing biometric is on it, nothing secret.

The page loads nothing and runs nothing: its Content-Security-Policy allows its own style sheet, by hash, and no more.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from importlib import resources

import falcon

from daemon.api.figures import Figures
from daemon.api.status_page import Facts, page
from daemon.machine import service_memory_bytes, temperatures_c
from daemon.recent import Recent


class Status:
    """`/status`, for people.

    Args:
        figures: how the device is; what Prometheus is told too.
        recent: what was answered in the last hour.
    """

    for_management = True

    def __init__(self, figures: Figures, recent: Recent) -> None:
        self._figures = figures
        self._recent = recent
        self._style = resources.files("daemon.api").joinpath("status.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode("ascii")
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """The page; 200 also where the device does not serve, which the page then says."""
        response.content_type = "text/html; charset=utf-8"
        response.set_header("Content-Security-Policy", self._policy)
        response.set_header("X-Content-Type-Options", "nosniff")
        response.set_header("Referrer-Policy", "no-referrer")
        response.data = page(self._facts(), self._style)

    def _facts(self) -> Facts:
        figures = self._figures
        return Facts(
            about=figures.about,
            troubles=figures.condition.troubles(),
            weaknesses=figures.condition.weaknesses(),
            minutes=self._recent.minutes(),
            queue=(figures.turnstile.running, figures.turnstile.waiting, figures.turnstile.settings.waiting),
            temperatures_c=temperatures_c(),
            memory_bytes=service_memory_bytes(),
            endings=figures.condition.endings(),
            now=datetime.now(timezone.utc),
        )
