"""What every exchange has: a request id, one log line, one count in the metrics, and who may ask what.

The order of checks is the contract's: credential, then HTTP framing (path, method, length), then parameters.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from typing import Any

import falcon

from daemon.api.certificate import shown_certificate
from daemon.api.credentials import Credentials
from daemon.api.rate_limit import RateLimit
from daemon.api.responses import INTERNAL_ERROR, SUCCESS_CODE, UNAVAILABLE, Answer, answer_to, failure_body
from daemon.audit import Journal, Metrics, Stopwatch
from daemon.config import Management
from daemon.errors import NOT_READY_S, DeviceError, InvalidArgument, RequestError, TryLater, UnknownTerminal
from daemon.records import Sender

NO_ROUTE = "none"
"""Route name of unknown paths in logs and metrics: what was asked for is not repeated."""


class Exchange:
    """Falcon middleware around every request.

    Args:
        journal: is told of every answer.
        metrics: count it.
        answered: is told of each answer to a terminal: its code, and the milliseconds it took.
    """

    def __init__(
        self, journal: Journal, metrics: Metrics, answered: Callable[[int, float], None] = lambda _code, _ms: None
    ) -> None:
        self._journal = journal
        self._metrics = metrics
        self._answered = answered

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give the request its id and start its watch.

        Raises:
            falcon.HTTPNotFound: the path does not begin with one slash; falcon's router would pass over all of them.
        """
        self._begin(request, response)
        if request.path[:1] != "/" or request.path[:2] == "//":
            raise falcon.HTTPNotFound

    def _begin(self, request: falcon.Request, response: falcon.Response) -> None:
        """Falcon refuses some requests before its middleware sees them; those begin where they are refused."""
        if hasattr(request.context, "request_id"):
            return
        request.context.request_id = new_request_id()
        request.context.watch = Stopwatch()
        request.context.answer = None
        request.context.error = None
        request.context.sender = None
        response.set_header("X-Request-Id", request.context.request_id)
        response.set_header("Cache-Control", "no-store")

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: object, _succeeded: bool
    ) -> None:
        """Count and log the answer, and tell the sender how long each step took."""
        self._begin(request, response)
        said, watch = request.context, request.context.watch
        steps = watch.steps_ms
        # Of a photo that does not open nothing is told, not even for how long the other one was worked on.
        if steps and not isinstance(said.error, InvalidArgument):
            response.set_header("Server-Timing", ", ".join(f"{step.value};dur={ms:.2f}" for step, ms in steps.items()))
        status, route = response.status_code, request.uri_template or NO_ROUTE
        code = said.answer.code if said.answer else SUCCESS_CODE
        self._metrics.count(route, code, status, watch)
        if getattr(resource, "for_terminals", False):
            self._answered(code, watch.total_ms)
        self._journal.write(
            "answer",
            request_id=said.request_id,
            terminal=said.sender.name if said.sender else None,
            route=route,
            status=status,
            code=code,
            field=getattr(said.error, "field", None),
            reason=str(said.error) if isinstance(said.error, RequestError) else None,
            duration_ms=round(watch.total_ms, 2),
            steps_ms={step.value: round(ms, 2) for step, ms in steps.items()} or None,
        )

    def on_error(self, request: falcon.Request, response: falcon.Response, error: Exception, _params: Any) -> None:  # noqa: ANN401
        """Falcon's handler for everything that is raised: the contract's answer, never more."""
        self._begin(request, response)
        answer = answer_to(error)
        request.context.answer, request.context.error = answer, error
        response.status = falcon.code_to_http_status(answer.status)
        response.content_type = falcon.MEDIA_JSON
        response.data = failure_body(answer, request.context.request_id)
        for name, value in _headers(error, answer).items():
            response.set_header(name, value)
        if answer is INTERNAL_ERROR or isinstance(error, DeviceError):
            self._journal.fault(error, request.context.request_id)


def _headers(error: Exception, answer: Answer) -> dict[str, str]:
    """Headers that an error adds to its answer."""
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return dict(error.headers or {})
    if isinstance(error, TryLater):
        return {"Retry-After": str(error.retry_after_s)}
    if answer is UNAVAILABLE:
        return {"Retry-After": str(NOT_READY_S)}
    field = getattr(error, "field", None)
    return {"X-Error-Field": field} if field else {}


class Gate:
    """Falcon middleware: who may ask what. Resources say for whom they are by `for_terminals`, `for_management`."""

    def __init__(self, credentials: Credentials, rate: RateLimit, management: Management) -> None:
        self._credentials = credentials
        self._rate = rate
        self._networks = [ipaddress.ip_network(str(network)) for network in management.networks]

    def process_resource(
        self, request: falcon.Request, response: falcon.Response, resource: object, _params: dict[str, Any]
    ) -> None:
        """Refuse before the body is read.

        Raises:
            UnknownTerminal, ConfigurationRefused: see `Credentials.sender`.
            RateLimited: see `RateLimit.take`.
            falcon.HTTPNotFound: a path that this caller may not know of.
            falcon.HTTPMethodNotAllowed: the path does not know the method; names those it knows.
        """
        if getattr(resource, "for_terminals", False):
            request.context.sender = self._sender(request, response)
            self._rate.take(request.context.sender.name)
        if getattr(resource, "for_management", False) and not self._is_management(request.remote_addr):
            raise falcon.HTTPNotFound
        methods = [name[3:].upper() for name in dir(resource) if name.startswith("on_")]
        if request.method not in methods:
            raise falcon.HTTPMethodNotAllowed(methods)

    def _sender(self, request: falcon.Request, response: falcon.Response) -> Sender:
        try:
            return self._credentials.sender(request.get_header("Authorization"), shown_certificate(request.env))
        except UnknownTerminal:
            if self._credentials.challenge:
                response.set_header("WWW-Authenticate", self._credentials.challenge)
            raise

    def _is_management(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # a Unix socket has no address: its peer is on this machine
            return True
        # An IPv4 peer of a socket for both families: ::ffff:10.0.0.1 is in no network of IPv4.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def new_request_id() -> str:
    """32 lower-case hex digits, UUID version 4."""
    return uuid.uuid4().hex
