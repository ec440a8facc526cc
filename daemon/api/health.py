"""`GET /healthz`, `/readyz` and `/metrics` for those who look after the device; for everybody what clients need."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources

import falcon

from daemon.api.responses import ANSWERS
from daemon.audit import Metrics
from daemon.errors import TryLater

JWKS_PATH = "/.well-known/jwks.json"
"""Source: the contract, section 5."""

Reasons = Callable[[], list[str]]
"""Stable ids of why the device does not serve; none where it does."""


def _answer(response: falcon.Response, request: falcon.Request, state: dict[str, object]) -> None:
    response.content_type = falcon.MEDIA_JSON
    response.data = json.dumps(state | {"request_id": request.context.request_id}).encode("ascii")


class Alive:
    """`/healthz`: the process answers."""

    for_management = True

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Always 200 where anything answers at all."""
        _answer(response, request, {"alive": True})


class Ready:
    """`/readyz`: the device serves, or why it does not."""

    for_management = True

    def __init__(self, reasons: Reasons, running_on: dict[str, str], lowered: bool) -> None:
        self._reasons = reasons
        self._state: dict[str, object] = {"accelerators": running_on, "accelerator_lowered": lowered}

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """200 where the device serves, 503 with the reasons where it does not."""
        reasons = self._reasons()
        response.status = falcon.HTTP_503 if reasons else falcon.HTTP_200
        request.context.answer = ANSWERS[TryLater] if reasons else None
        _answer(response, request, {"ready": not reasons, "reasons": reasons, **self._state})


class Exposition:
    """`/metrics`, for Prometheus."""

    for_management = True

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """All metrics as text."""
        response.content_type = "text/plain; version=0.0.4; charset=utf-8"
        response.data = self._metrics.exposition()


class OpenApi:
    """`/openapi.yaml`: the contract for machines."""

    def __init__(self) -> None:
        self._document = resources.files("daemon.api").joinpath("openapi.yaml").read_bytes()

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """The document as it is shipped."""
        response.content_type = "application/yaml"
        response.data = self._document


class Jwks:
    """`/.well-known/jwks.json`: the public keys that terminals seal photos to. Source: RFC 7517, section 8.5."""

    def __init__(self, current: Callable[[], dict[str, object]]) -> None:
        self._current = current

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """The keys as they are now.

        Raises:
            KeyRefused: the key store cannot be read any more.
        """
        response.content_type = "application/jwk-set+json"
        response.data = json.dumps(self._current()).encode("ascii")
