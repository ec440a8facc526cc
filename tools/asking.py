"""Asks a daemon over HTTP or HTTPS, as a terminal does.

Owns the way to the daemon: no proxy, no redirect, and certificates are always checked.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from daemon.api.health import JWKS_PATH
from daemon.api.intake import FIRST_PHOTO, SECOND_PHOTO
from daemon.api.responses import SUCCESS_CODE
from daemon.api.verification import PATH
from daemon.errors import ConfigurationRefused
from tools.sealing import Sealer

_TIMEOUT_S = 60.0
"""Longer than the shipped server.receive_s and admission.deadline_s together."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A daemon sends nobody elsewhere; token and photos are for it alone."""


def _opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect(), *handlers)


DIRECT = _opener()
"""Asks the daemon itself: a proxy named in the environment is for the internet, and sees no photos."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a daemon answered to one request.

    Attributes:
        status: HTTP status.
        body: the JSON object.
        field: parameter or photo at fault, as the daemon names it.
        timing: Server-Timing as sent.
        retry_after_s: whole seconds, where the daemon asks to come back later.
    """

    status: int
    body: dict[str, Any]
    field: str | None
    timing: str | None
    retry_after_s: str | None = None


class Daemon:
    """A daemon, by its address.

    Args:
        url: such as https://device.branch.example:3000.
        trust: whose certificates count, and the terminal's own; None: those that the system trusts.
        token: the terminal's bearer token.
        within_s: seconds that each step of an answer may take.

    Raises:
        ConfigurationRefused: the address is none of HTTP.
    """

    def __init__(
        self,
        url: str,
        trust: ssl.SSLContext | None = None,
        token: str | None = None,
        within_s: float = _TIMEOUT_S,
    ) -> None:
        _check_address(url)
        self._within_s = within_s
        self.url = url.rstrip("/")
        self._opener = _opener(urllib.request.HTTPSHandler(context=trust)) if trust else DIRECT
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, form: dict[str, str]) -> Answered:
        """Post a form to the verification endpoint.

        Args:
            form: parameters by wire name.

        Raises:
            ConfigurationRefused: no daemon answers there, or something that is none.
        """
        body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.url + PATH, body, self._headers)  # noqa: S310 - checked when made
        with _answers_of(self.url), self._opened(request) as response:
            return _answered(response.status, response.headers, response.read())

    def jwks(self, url: str | None = None) -> list[dict[str, Any]]:
        """The keys that the daemon publishes, the newest first.

        Args:
            url: of another JWK set, reached in the same way.

        Raises:
            ConfigurationRefused: no JWK set is there, or no key in it.
        """
        where = url or self.url + JWKS_PATH
        _check_address(where)
        with _answers_of(where), self._opener.open(where, timeout=self._within_s) as response:
            keys = list(json.loads(response.read())["keys"])
        if not keys:
            raise ConfigurationRefused(f"{where} publishes no key", "Make one: fvctl keys add --activate")
        return keys

    def _opened(self, request: urllib.request.Request) -> Any:  # noqa: ANN401 - an HTTP response, refusals included
        try:
            return self._opener.open(request, timeout=self._within_s)
        except urllib.error.HTTPError as refusal:
            return refusal


def sealed_form(seal: Sealer, photos: tuple[bytes, bytes]) -> dict[str, str]:
    """Two photos sealed, as parameters of a request."""
    return {FIRST_PHOTO: seal(photos[0]), SECOND_PHOTO: seal(photos[1])}


def _check_address(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationRefused(
            f"{url} is no http address", "Name the daemon like this: --url http://127.0.0.1:3000"
        )


@contextmanager
def _answers_of(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise _no_daemon(url, error) from error


def _no_daemon(url: str, error: Exception) -> ConfigurationRefused:
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigurationRefused(
            f"{url} shows a certificate that does not count: {cause.verify_message}",
            "Name who signed it: --ca FILE (the device's own authority is in server.tls.terminals_ca); and call the "
            "device by a name that stands in it: --url https://NAME:PORT",
        )
    if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
        return ConfigurationRefused(
            f"{url} does not take this terminal's certificate: {cause.reason}",
            "Show one that is accepted and has not expired: --certificate FILE; see: fvctl terminals list",
        )
    return ConfigurationRefused(
        f"no daemon answers at {url}: {error}", "Start it, or name another with --url; with TLS, it begins with https."
    )


def _answered(status: int, headers: Any, body: bytes) -> Answered:  # noqa: ANN401 - http.client's message
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("code"), int):
        raise TypeError("the answer is not one of a faceverifyd")
    if answer["code"] == SUCCESS_CODE and not _is_score(answer.get("verification_score")):
        raise ValueError("the score is not one of a faceverifyd")
    named = {name: headers.get(name) for name in ("X-Error-Field", "Server-Timing", "Retry-After")}
    return Answered(status, answer, *named.values())


def _is_score(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
