"""`POST /identity/image_verification/stateless`."""

from __future__ import annotations

import falcon

from daemon.api.admission import BodyBudget, Turnstile
from daemon.api.intake import body_length, read_request
from daemon.api.responses import success_body
from daemon.config import Server
from daemon.pipeline import Pipeline
from daemon.pulse import Pulse

PATH = "/identity/image_verification/stateless"
"""Source: the contract."""


class Verification:
    """The endpoint that terminals call."""

    for_terminals = True

    def __init__(self, pipeline: Pipeline, turnstile: Turnstile, pulse: Pulse, settings: Server) -> None:
        self._pipeline = pipeline
        self._pulse = pulse
        self._turnstile = turnstile
        self._bodies = BodyBudget(settings.bodies_limit_bytes)
        self._body_limit_bytes = settings.body_limit_bytes

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Two sealed photos in, a verification score out.

        Raises:
            falcon.HTTPError: the body has no length, or too much of it.
            RequestError: a parameter or a photo is at fault, or the device has no place free (TryLater).
            EngineRefused: the accelerator failed.
        """
        length = body_length(request, self._body_limit_bytes)
        self._turnstile.look_in()  # who would be refused after it is refused before its body is read
        with self._bodies.hold(length):
            asked = read_request(request, self._body_limit_bytes)
            with self._turnstile.admit(), self._pulse.working():
                score = self._pipeline.verify(asked, request.context.watch)
        response.content_type = falcon.MEDIA_JSON
        response.data = success_body(score, request.context.request_id)
