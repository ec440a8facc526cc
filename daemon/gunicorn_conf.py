"""gunicorn's settings, and a worker that answers even malformed HTTP in the contract's words.

Start it with `gunicorn -c python:daemon.gunicorn_conf 'daemon.wsgi:application()'`. gunicorn reads settings from a
module's globals; this is the one module that reads the configuration when it is imported.
"""

from __future__ import annotations

import ctypes
import io
import math
import os
import resource
import signal
import socket
import ssl
import sys
import time
from typing import Any

from gunicorn.http.errors import ConfigurationProblem, ParseException, UnsupportedTransferCoding

from daemon.addresses import bind_of, obstacle
from daemon.api.exchange import NO_ROUTE, new_request_id
from daemon.api.responses import INTERNAL_ERROR, LENGTH_REQUIRED, Answer, answer_to, raw_answer
from daemon.audit import Journal
from daemon.config import Config, config_path, load_config
from daemon.connections import PatientWorker
from daemon.errors import ConfigurationRefused, DeviceError, InvalidArgument
from daemon.memory import give_back, keep_private, keep_small
from daemon.notify import take_service_manager
from daemon.tls import make_tls

_SET_DEATH_SIGNAL = 1
"""Source: prctl(2), PR_SET_PDEATHSIG."""

_TRIM_EVERY_S = 10.0
"""To map again what was given back costs about as much as one request in so many seconds."""

_LOAD_REFUSED = 4
"""Exit status for a configuration that must not be served. Source: gunicorn's arbiter, `APP_LOAD_ERROR`."""

_SERVING = "STATUS=serving: keys opened, engines proven"
_OWN_DESCRIPTORS = 256
"""What the worker needs besides connections, with room: listeners, libraries, files that are read again, the GPU."""

_SAY_AGAIN_S = 60.0
_WHOSE_PORT = "See who has it, and stop that or name another in server.bind: fvctl doctor --only port"
_MORE_DESCRIPTORS = "Raise LimitNOFILE= of faceverifyd.service above server.connections."


class ContractWorker(PatientWorker):
    """A patient worker whose own error answers are the contract's.

    gunicorn would send HTML, and log what it could not parse, which may be a photo.
    """

    _said_s = -math.inf
    _trimmed_s = -math.inf
    _hung = False
    wsgi: Any = None

    def out_of_descriptors(self) -> None:
        """Say it once a minute: terminals wait meanwhile, and a line per attempt would fill the journal."""
        if time.monotonic() - self._said_s > _SAY_AGAIN_S:
            self._said_s = time.monotonic()
            Journal().write("warning", reason="no descriptor left for another connection", remedy=_MORE_DESCRIPTORS)

    def load_wsgi(self) -> None:
        """Make the application: seconds, or longer on a GPU."""
        _MANAGER.tell("STATUS=loading keys and engines")
        try:
            super().load_wsgi()
        except SystemExit:
            _MANAGER.tell("STATUS=refuses to serve: the journal says why, and what to do")
            raise

    def run(self) -> None:
        """Serve; the service manager hears of it now that the engines are loaded and proven."""
        _MANAGER.tell("READY=1", _SERVING, f"MAINPID={os.getppid()}")
        super().run()

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        """Stop: what is being answered is answered, and on connections that are open nothing new begins."""
        self._end_while_it_loads()
        _MANAGER.tell("STOPPING=1", "STATUS=stopping: answers what has begun")
        self.wsgi.turnstile.close()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        """Stop without waiting for what has begun."""
        self._end_while_it_loads()
        super().handle_quit(sig, frame)

    def _end_while_it_loads(self) -> None:
        """Nothing has begun then; what a signal raised would look like a fault of whatever is being loaded."""
        if self.wsgi is None:
            _MANAGER.tell("STOPPING=1", "STATUS=stopping: had not loaded yet")
            os._exit(0)

    def handle_abort(self, sig: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        """End at once: the master takes this worker for hung.

        gunicorn would shut the interpreter down below the requests, each of which would get an internal error where a
        connection that is lost is repeated by whoever waits for it, a balancer included.
        """
        os._exit(1)

    def notify(self) -> None:
        """Once a second at least: feed the watchdog; now and then, give back what lies free between what is in use."""
        super().notify()
        if time.monotonic() - self._trimmed_s > _TRIM_EVERY_S:
            self._trimmed_s = time.monotonic()
            give_back()
        if self.wsgi is not None:
            self._tell_whether_hung(not self.wsgi.pulse.beats())

    def _tell_whether_hung(self, hung: bool) -> None:
        if not hung:
            _MANAGER.tell("WATCHDOG=1")
        if hung and not self._hung:
            _MANAGER.tell("STATUS=hung: no progress within health.stuck_s")
            Journal().write("hung", reason="no progress within health.stuck_s; the watchdog starts the daemon anew")
        elif self._hung and not hung and self.alive:
            _MANAGER.tell(_SERVING)
        self._hung = hung

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:  # noqa: ANN401 - gunicorn's TConn
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except ParseException:  # the rest of a body that was answered unread; a second answer would be one too many
            return False

    def handle_error(self, _req: object, client: socket.socket, _addr: object, exc: BaseException) -> None:
        """Answer a request that never reached the application; a peer that speaks no TLS gets no answer."""
        if isinstance(exc, ssl.SSLError):
            seen = getattr(exc, "verify_message", None) or exc.reason
            Journal().write("tls_failed", error=type(exc).__name__, reason=seen)
            return
        answer, request_id = _answer_to_http(exc), new_request_id()
        Journal().write(
            "malformed_request", request_id=request_id, status=answer.status, code=answer.code, error=type(exc).__name__
        )
        self.wsgi.metrics.refused(NO_ROUTE, answer.code, answer.status)
        try:
            client.sendall(raw_answer(answer, request_id))
        except OSError:  # the client has gone: nobody is left to answer
            return


def _answer_to_http(error: BaseException) -> Answer:
    if isinstance(error, UnsupportedTransferCoding):
        return LENGTH_REQUIRED
    if isinstance(error, ConfigurationProblem) or not isinstance(error, (ParseException, OSError)):
        return INTERNAL_ERROR
    return answer_to(InvalidArgument("malformed HTTP"))


def on_starting(_server: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter
    """Say what to do about a port that is taken; gunicorn tries for five seconds more, and ends with status 1."""
    if "LISTEN_FDS" in os.environ:  # the port is ours already, from the service manager
        return
    for bind in _CONFIG.server.bind:
        error = obstacle(bind)
        if error is not None:
            reason = f"{bind}: {error.strerror}"
            Journal().write("warning", error=type(error).__name__, reason=reason, remedy=_WHOSE_PORT)


def when_ready(server: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter
    """Refuse to serve on sockets that a service manager handed over and the configuration does not name.

    What the configuration allows on loopback only must not be reached from elsewhere.
    """
    if not server.systemd:
        return
    handed = {bind_of(listener.getsockname()) for listener in server.LISTENERS}
    if handed != set(_CONFIG.server.bind):
        refusal = ConfigurationRefused(
            f"the socket unit listens on {sorted(handed)}, server.bind says {sorted(_CONFIG.server.bind)}",
            "Make ListenStream= of faceverifyd.socket and server.bind the same.",
        )
        Journal().start_refused(refusal)
        raise SystemExit(_LOAD_REFUSED)


def post_fork(_server: Any, worker: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter and Worker
    """Nothing of a photo stays in memory or in a core dump; and nothing on standard error but the journal.

    A worker whose master was killed would go on answering on connections that are kept, and keep the port from the
    next master: it is told to stop at once.

    libtiff writes there what it makes of a damaged photo.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the master's handler would keep it for a loop that is not run here
    keep_private()
    keep_small()
    _take_descriptors(_CONFIG.server.connections + _OWN_DESCRIPTORS)
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    # Unbuffered: a line that cannot be written is lost, and not kept to be written in pieces later.
    raw = io.FileIO(os.dup(2), "w")
    sys.stderr = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    for handler in worker.log.error_log.handlers:
        handler.setStream(sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _take_descriptors(wanted: int) -> None:
    """Raise the limit to what the configured connections need, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _settings(config: Config) -> dict[str, Any]:
    """What this product sets, by gunicorn's names."""
    server = config.server
    return _tls_settings(config) | {
        "bind": list(server.bind),
        "threads": server.threads,
        "worker_connections": server.connections,
        "keepalive": server.keepalive_s,
        "graceful_timeout": server.grace_s,
        "worker_class": ContractWorker,
        "workers": 1,  # one owner of the accelerator; a second process would load every engine again
        "preload_app": False,  # a CUDA context does not survive a fork
        "control_socket_disable": True,  # it can stop workers, and nothing here needs it
        "loglevel": "warning",
        "accesslog": None,
        "umask": 0o077,
        "worker_tmp_dir": "/dev/shm",  # noqa: S108 - a heartbeat file; on a disk its update can block the worker
        "forwarded_allow_ips": "",
    }


def _report(fault: DeviceError) -> None:
    Journal().write("warning", error=type(fault).__name__, reason=str(fault.args[0]), remedy=fault.remedy)


def _tls_settings(config: Config) -> dict[str, Any]:
    tls, files = make_tls(config, _report), config.server.tls
    if tls is None or files is None:
        return {}
    return {
        "certfile": str(files.certificate),
        "keyfile": str(files.key),
        "ssl_context": lambda _config, _default: tls.context(),
        # The handshake belongs to the thread that serves the connection, where `notify` watches over it.
        "do_handshake_on_connect": False,
    }


def _configured() -> tuple[Config, dict[str, Any]]:
    try:
        config = load_config(config_path(os.environ))
        return config, _settings(config)
    except ConfigurationRefused as error:
        Journal().start_refused(error)
        raise SystemExit(_LOAD_REFUSED) from None


_MANAGER = take_service_manager(os.environ)
_CONFIG, _SETTINGS = _configured()
ContractWorker.receive_s = _CONFIG.server.receive_s
globals().update(_SETTINGS)
