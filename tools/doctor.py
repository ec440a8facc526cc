"""`fvctl doctor`: what is wrong with this device, and what to type next. Changes nothing; needs no running daemon.

    fvctl doctor                                  every question
    fvctl doctor --only key_store --only kek      some of them

What only root may see is unknown to others, never well. Exit codes: 0 all well, 1 something needs doing, 2 a question
could not be answered.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from daemon.app import load_networks
from daemon.config import load_config
from tools.checks import (
    accelerator,
    calibration,
    certificate,
    clock,
    configuration,
    core_dumps,
    daemon,
    devices,
    disk_space,
    engines,
    hardening,
    kek,
    key_expiry,
    key_log,
    key_store,
    latency,
    legacy_format,
    log_errors,
    memory,
    onnxruntime_wheel,
    packages,
    platform,
    port,
    power,
    published_key,
    release,
    restarts,
    socket,
    swap,
    temperature,
    terminals,
    tls,
    unit,
)
from tools.checks.finding import Check, Device, Finding, Status, found, unknown
from tools.console import COULD_NOT_RUN, NEEDS_DOING, OK, show_findings
from tools.kek_keeping import kek_keeper
from tools.key_store import KeyStore
from tools.once import Once

CHECKS: tuple[Check, ...] = (
    configuration.CHECK,
    platform.CHECK,
    release.CHECK,
    packages.CHECK,
    devices.CHECK,
    engines.CHECK,
    accelerator.CHECK,
    onnxruntime_wheel.CHECK,
    calibration.CHECK,
    latency.CHECK,
    kek.CHECK,
    key_store.CHECK,
    key_log.CHECK,
    key_expiry.CHECK,
    legacy_format.CHECK,
    published_key.CHECK,
    terminals.CHECK,
    certificate.CHECK,
    clock.CHECK,
    disk_space.CHECK,
    memory.CHECK,
    swap.CHECK,
    core_dumps.CHECK,
    temperature.CHECK,
    power.CHECK,
    hardening.CHECK,
    socket.CHECK,
    unit.CHECK,
    restarts.CHECK,
    port.CHECK,
    daemon.CHECK,
    tls.CHECK,
    log_errors.CHECK,
)
"""Every question, what others depend on first."""

_ALONE_S = 60.0
"""Who asks single questions has the time to wait for the answer."""


def ask_all(checks: Sequence[Check], device: Device) -> list[Finding]:
    """The answers in the order of the questions, asked side by side; one that does not come in time is unknown.

    Args:
        checks: the questions.
        device: what they look at.
    """
    answers: dict[str, Finding] = {}
    # Threads that nobody waits for at the end of the process: a check that hangs must not hang doctor.
    asked = [threading.Thread(target=_answer, args=(check, device, answers), daemon=True) for check in checks]
    began = time.monotonic()
    for thread in asked:
        thread.start()
    for check, thread in zip(checks, asked, strict=True):
        thread.join(max(0.0, began + check.within_s - time.monotonic()))
    return [answers.get(check.id) or _late(check) for check in checks]


def _late(check: Check) -> Finding:
    return unknown(f"no answer within {check.within_s:g} s", f"Ask it alone: fvctl doctor --only {check.id}")


def _answer(check: Check, device: Device, answers: dict[str, Finding]) -> None:
    answers[check.id] = found(check, device)


def device_at(path: Path, now: Callable[[], datetime], root: Path = Path("/")) -> Device:
    """The device of a configuration file.

    Args:
        path: the file.
        now: gives the time, with its zone.
        root: where /proc, /sys, /etc and /run are.
    """
    load = Once(lambda: load_config(path))

    def store() -> KeyStore:
        """The configured one, still closed."""
        return KeyStore(load().keys.store, kek_keeper(load().keys, os.environ).keks)

    return Device(
        path=path,
        load=load,
        opened_store=Once(lambda: store().opened()),
        key_log=Once(lambda: store().audit()),
        networks=Once(lambda: load_networks(load().inference)),
        now=now(),
        root=root,
    )


def device_of(args: argparse.Namespace, now: Callable[[], datetime]) -> Device:
    """The device that a command line names; `args.root` is doctor's own option."""
    return device_at(args.config, now, getattr(args, "root", Path("/")))


def answered(checks: Sequence[Check], device: Device) -> list[dict[str, object]]:
    """Questions and answers, as they are shown and as other tools take them."""
    return [
        {"id": check.id, "question": check.question, **dataclasses.asdict(finding), "status": finding.status.value}
        for check, finding in zip(checks, ask_all(checks, device), strict=True)
    ]


def exit_code(rows: Sequence[dict[str, object]]) -> int:
    """What a tool ends with that shows these answers."""
    seen = {row["status"] for row in rows}
    if Status.NEEDS_DOING.value in seen:
        return NEEDS_DOING
    return COULD_NOT_RUN if Status.UNKNOWN.value in seen else OK


def run(args: argparse.Namespace) -> int:
    """Ask, and show the answers."""
    checks = list(CHECKS)
    if args.only:
        checks = [dataclasses.replace(check, within_s=_ALONE_S) for check in CHECKS if check.id in args.only]
    rows = answered(checks, device_of(args, lambda: datetime.now(timezone.utc)))
    show_findings(rows, args.json)
    return exit_code(rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument(
        "--only", action="append", choices=[check.id for check in CHECKS], metavar="ID", help="ask this question alone"
    )
    where = "where /proc, /sys, /etc and /run are, for a disk that is mounted elsewhere"
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="FOLDER", help=where)
