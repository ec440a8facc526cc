"""One session of onnxruntime, proven to be wholly where it should be.

onnxruntime puts what its provider does not take, or all of a network, silently on the CPU; here that is a refusal.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import onnxruntime as ort

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from daemon.inference.accelerators import ACCELERATORS, Target
from daemon.inference.platform import ONNXRUNTIME_VERSION

_TELLS_ASSIGNMENT = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
"""Whether this version tells which provider each node went to: onnxruntime 1.24 and later."""


def open_session(source: bytes | Path, target: Target, options: dict[str, str]) -> ort.InferenceSession:
    """A session on the asked accelerator and on nothing else.

    Args:
        source: an ONNX model, or the file of one that names others beside it.
        target: where it must run; the policy is not looked at here.
        options: of the accelerator's provider.

    Raises:
        EngineRefused: the accelerator is not there, onnxruntime cannot load the model, or put it or parts elsewhere.
    """
    row = ACCELERATORS[target.accelerator]
    try:
        with warnings.catch_warnings():  # onnxruntime only warns where a provider is missing; checked below
            warnings.simplefilter("ignore", UserWarning)
            session = ort.InferenceSession(
                source, session_options(target), [(row.provider, options)], enable_fallback=0
            )
        seen = misplaced(session, target.accelerator)
    except Exception as error:  # onnxruntime's own errors have no common class but this one
        raise EngineRefused(
            f"the network does not load on {target.accelerator.value}: {_first_line(error)}", remedy(target)
        ) from error
    if seen:
        offered = f"onnxruntime {ONNXRUNTIME_VERSION} offers {', '.join(ort.get_available_providers())}"
        raise EngineRefused(
            f"the network should run on {target.accelerator.value}, but {seen} ({offered})", remedy(target)
        )
    return session


def session_options(target: Target) -> ort.SessionOptions:
    """How sessions of an accelerator are run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = target.threads
    options.log_severity_level = 3  # errors only: warnings of a fallback are turned into a refusal
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if target.accelerator is not Accelerator.CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def misplaced(session: ort.InferenceSession, accelerator: Accelerator) -> str:
    """Where a session runs instead of on an accelerator, in words; empty where it is wholly there."""
    provider = ACCELERATORS[accelerator].provider
    first = session.get_providers()[0]
    if first != provider:
        return f"runs on {first}"
    if accelerator is Accelerator.CPU or not _TELLS_ASSIGNMENT:  # on the CPU there is nowhere else to be
        return ""
    return elsewhere(session, provider)


def elsewhere(session: ort.InferenceSession, provider: str) -> str:
    """What of a session's network went to other providers than this one; the session must record it."""
    strays = Counter(
        f"{node.op_type} on {part.ep_name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != provider
        for node in part.get_nodes()
    )
    return ", ".join(f"{count} x {what}" for what, count in strays.most_common(3))


def _first_line(error: Exception) -> str:
    """What onnxruntime says, without the place in its source that some of its messages begin with."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", line)


def remedy(target: Target) -> str:
    """What to do where an accelerator is not there."""
    if target.accelerator is Accelerator.CPU:
        return "Run: fvctl engines build"
    return (
        f"Install the device's own onnxruntime wheel, which has the {target.accelerator.value} provider (fvctl doctor "
        "--only onnxruntime_wheel looks at the one there is); or set inference.accelerator: cpu, or inference.policy: "
        "allow_lower, and run: fvctl engines build"
    )
