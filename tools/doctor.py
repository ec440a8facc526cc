"""`fvctl doctor`: what is wrong with this device, and what to type next. Changes nothing; needs no running daemon.

    fvctl doctor                      every question
    fvctl doctor --only key_store     one of them; may be given more than once

Exit codes: 0 all well, 1 something needs doing, 2 a question could not be answered.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from daemon.config import load_config
from tools.checks import (
    accelerator,
    calibration,
    certificate,
    clock,
    configuration,
    daemon,
    disk_space,
    engines,
    key_expiry,
    key_log,
    key_store,
    legacy_format,
    onnxruntime_wheel,
    port,
    published_key,
    terminals,
)
from tools.checks.finding import Check, Device, Finding, Status, found
from tools.console import COULD_NOT_RUN, NEEDS_DOING, OK, show_findings
from tools.kek_keeping import kek_keeper
from tools.key_store import KeyStore

CHECKS: tuple[Check, ...] = (
    configuration.CHECK,
    engines.CHECK,
    accelerator.CHECK,
    onnxruntime_wheel.CHECK,
    calibration.CHECK,
    key_store.CHECK,
    key_log.CHECK,
    key_expiry.CHECK,
    legacy_format.CHECK,
    published_key.CHECK,
    terminals.CHECK,
    certificate.CHECK,
    clock.CHECK,
    disk_space.CHECK,
    port.CHECK,
    daemon.CHECK,
)
"""Every question, what others depend on first."""

_WITHIN_S = 8.0
"""All checks run side by side; a technician has the whole answer within ten seconds."""


def ask_all(checks: Sequence[Check], device: Device, within_s: float = _WITHIN_S) -> list[Finding]:
    """The answers in the order of the questions; one that does not come in time is unknown.

    Args:
        checks: the questions.
        device: what they look at.
        within_s: seconds for all of them together.
    """
    answers: dict[str, Finding] = {}
    # Threads that nobody waits for at the end of the process: a check that hangs must not hang doctor.
    asked = [threading.Thread(target=_answer, args=(check, device, answers), daemon=True) for check in checks]
    for thread in asked:
        thread.start()
    until = time.monotonic() + within_s
    for thread in asked:
        thread.join(max(0.0, until - time.monotonic()))
    late = Finding(Status.UNKNOWN, f"no answer within {within_s:g} s", "Ask it alone: fvctl doctor --only ID")
    return [answers.get(check.id, late) for check in checks]


def _answer(check: Check, device: Device, answers: dict[str, Finding]) -> None:
    answers[check.id] = found(check, device)


def device_of(args: argparse.Namespace, now: Callable[[], datetime]) -> Device:
    """The device that a command line names."""
    return Device(
        path=args.config,
        load=lambda: load_config(args.config),
        store=lambda config: KeyStore(config.keys.store, kek_keeper(config.keys, os.environ).keks),
        now=now(),
    )


def run(args: argparse.Namespace) -> int:
    """Ask, and show the answers."""
    checks = [check for check in CHECKS if not args.only or check.id in args.only]
    findings = ask_all(checks, device_of(args, lambda: datetime.now(timezone.utc)))
    rows = [
        {"id": check.id, "question": check.question, **dataclasses.asdict(finding), "status": finding.status.value}
        for check, finding in zip(checks, findings, strict=True)
    ]
    show_findings(rows, args.json)
    seen = {finding.status for finding in findings}
    if Status.NEEDS_DOING in seen:
        return NEEDS_DOING
    return COULD_NOT_RUN if Status.UNKNOWN in seen else OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument(
        "--only", action="append", choices=[check.id for check in CHECKS], metavar="ID", help="ask this question alone"
    )
