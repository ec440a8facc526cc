"""From one release to another in steps, and back: whatever stops it, one of the two serves, and a repeat finishes.

    fetch        copy the archive, verify the copy
    unpack       its files, at the place where they stay; read again from the disk
    environment  its Python environment, from its wheels
    configure    its configuration, from the older one; keys on a new device
    engines      those whose identity has changed
    prove        known answers, beside the release that serves
    switch       one atomic link: program, configuration, engines, units
    restart      the service; terminals wait in its socket
    gate         ready in time, known answers, fast enough, no restart
    keep         it is good; the floor rises; what is older than the one before is removed

What fails before the switch is removed; what fails after it is switched back.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from daemon.errors import DeviceError, ReleaseRefused
from tools.console import say
from tools.releases import archive, environment, gate
from tools.releases.layout import Layout, point
from tools.releases.manifest import Manifest, archive_name, read_manifest, version
from tools.releases.platforms import Platform
from tools.releases.preparation import Preparation
from tools.releases.source import Offer, Source, Trust
from tools.releases.state import BACKWARD, FORWARD, Ledger, Operation, Step
from tools.releases.units import Units

_SPARE_BYTES = 64 << 20
"""What logs and keys may need meanwhile."""


@dataclass(frozen=True, slots=True)
class Device:
    """What releases are installed on.

    Attributes:
        layout: where things are.
        platform: what it is.
        units: its service; None where a disk is being made, on which nothing runs.
        root: the trusted root of the repository, JSON.
        now: its clock.
    """

    layout: Layout
    platform: Platform
    units: Units | None
    root: bytes
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)


class Installer:
    """Carries out what the state file says.

    Args:
        device: where.
        ledger: the state file, held by this command alone.
    """

    def __init__(self, device: Device, ledger: Ledger) -> None:
        self._device, self._layout, self._ledger = device, device.layout, ledger
        self._took_s: dict[str, float] = {}
        self._steps: dict[Step, Callable[[Operation], None]] = {
            Step.FETCH: self._fetch,
            Step.UNPACK: self._unpack,
            Step.ENVIRONMENT: self._environment,
            Step.CONFIGURE: self._configure,
            Step.ENGINES: self._engines,
            Step.PROVE: self._prove,
            Step.SWITCH: self._switch,
            Step.RESTART: self._restart,
            Step.GATE: self._gate,
            Step.KEEP: self._keep,
            Step.BACK: self._back,
            Step.RESTART_BACK: self._restart_back,
            Step.CLEAR: self._clear,
        }

    def source(self, address: str) -> Source:
        """A repository, verified.

        Raises:
            ReleaseRefused: it is not to be trusted.
        """
        state = self._ledger.state
        trust = Trust(self._device.root, self._layout.state / "tuf", state.known_past)
        found = Source(address, trust, self._device.now())
        if found.signed_utc > state.known_past:
            self._ledger.change(known_past_utc=found.signed_utc.isoformat())
        return found

    def begin(self, kind: str, wanted: str, source: str) -> None:
        """Write down what is to be done, which `go_on` does.

        Args:
            kind: install, or rollback.
            wanted: version.
            source: where its archive comes from.

        Raises:
            ReleaseRefused: the floor forbids it.
        """
        state = self._ledger.state
        if version(wanted) < version(state.floor):
            raise ReleaseRefused(
                f"{wanted} is below the floor {state.floor}: an older release has a weakness that is known",
                f"Install {state.floor} or later.",
            )
        step = Step.FETCH if kind == "install" else Step.PROVE
        begun = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._ledger.tell("begun", kind=kind, version=wanted, origin=state.current, source=source)
        left = () if kind == "install" or state.current is None else (state.current,)  # not taken again by itself
        self._ledger.change(
            failed=(*state.failed, *left),
            previous=None if kind == "install" and wanted == state.previous else state.previous,  # it is unpacked anew
            operation=Operation(kind, wanted, state.current, source, step, begun, ""),
        )

    def go_on(self) -> str:
        """Carry out every step that is left; why it went back, or nothing.

        Raises:
            ReleaseRefused: the way back failed too, a repeat tries again; or the machine is shutting down, the next
                boot goes on.
        """
        reason = ""
        while (operation := self._ledger.state.operation) is not None:
            say(f"{operation.version}: {operation.step.value}")
            began = time.monotonic()
            try:
                self._steps[operation.step](operation)
            except (DeviceError, OSError) as error:
                if operation.step in BACKWARD:
                    raise
                if self._device.units is not None and self._device.units.machine_stops():
                    raise ReleaseRefused("the machine is shutting down", "Nothing: its next boot goes on.") from error
                reason = f"{operation.step.value}: {error.args[0] if isinstance(error, DeviceError) else error}"
                self._turn_back(operation, reason)
                continue
            self._took_s[operation.step.value] = round(time.monotonic() - began, 1)
            self._advance(operation)
            reason = operation.reason or reason
        return reason

    def _advance(self, operation: Operation) -> None:
        if operation.step in (Step.KEEP, Step.CLEAR):
            self._remove_unused()
            return
        order = BACKWARD if operation.step in BACKWARD else FORWARD
        self._ledger.begin(order[order.index(operation.step) + 1])

    def _turn_back(self, operation: Operation, reason: str) -> None:
        say(f"{operation.version}: goes back: {reason}")
        switched = FORWARD.index(operation.step) >= FORWARD.index(Step.SWITCH)
        step = Step.BACK if switched else Step.CLEAR
        # What failed for want of room, or of the stick, may be tried again by itself.
        blamed = operation.kind == "install" and FORWARD.index(operation.step) >= FORWARD.index(Step.PROVE)
        failed = {*self._ledger.state.failed, *([operation.version] if blamed else [])}
        self._ledger.change(failed=tuple(sorted(failed)), operation=replace(operation, step=step, reason=reason))

    def _fetch(self, operation: Operation) -> None:
        source = self.source(operation.source)
        offer = self._offer(source, operation.version)
        self._refuse_full(self._layout.downloads, 2 * offer.size)
        source.fetch(offer, self._layout.downloads)

    def _offer(self, source: Source, wanted: str) -> Offer:
        mine = self._device.platform.name
        for offer in source.offers(mine):
            if offer.version == wanted:
                return offer
        others = source.platforms_of(wanted)
        seen = f"it is published for {', '.join(others)}" if others else "it is not published"
        raise ReleaseRefused(f"no {wanted} for {mine}: {seen}", "Run: fvctl release check")

    def _unpack(self, operation: Operation) -> None:
        release = self._layout.release(operation.version)
        shutil.rmtree(release, ignore_errors=True)
        packed = self._archive(operation.version)
        self._refuse_full(release.parent, packed.stat().st_size)
        manifest = archive.unpack(packed, release)
        mine = (operation.version, self._device.platform.name)
        if (manifest.version, manifest.platform) != mine:
            raise ReleaseRefused(
                f"the archive is of {manifest.version} for {manifest.platform}; expected {' for '.join(mine)}",
                "Tell who publishes the releases.",
            )

    def _environment(self, operation: Operation) -> None:
        manifest = self._manifest(operation.version)
        shared = environment.shared_environment(self._layout.environments, manifest)
        if not environment.is_complete(shared):
            self._refuse_full(self._layout.environments, manifest.environment_bytes)
        environment.make_environment(self._layout.release(operation.version), self._layout.environments, manifest)

    def _configure(self, operation: Operation) -> None:
        preparation = self._preparation(operation.version)
        preparation.configure()
        if self._device.units is not None:
            preparation.make_keys()

    def _engines(self, operation: Operation) -> None:
        if self._device.units is not None:
            self._preparation(operation.version).make_engines()

    def _prove(self, operation: Operation) -> None:
        if self._device.units is not None:
            self._preparation(operation.version).prove(before_it_serves=True)

    def _switch(self, operation: Operation) -> None:
        point(self._layout.current, self._layout.release(operation.version))
        if self._device.units is not None:
            self._device.units.enable()

    def _restart(self, operation: Operation) -> None:
        if self._device.units is not None:
            self._device.units.restart(self._manifest(operation.version).proof.ready_s)

    def _gate(self, operation: Operation) -> None:
        if self._device.units is not None:
            preparation = self._preparation(operation.version)
            proof = self._manifest(operation.version).proof
            gate.pass_gate(
                proof, self._device.units, lambda: preparation.prove(before_it_serves=False), preparation.ask
            )

    def _keep(self, operation: Operation) -> None:
        manifest = self._manifest(operation.version)
        point(self._layout.good, self._layout.release(operation.version))
        state = self._ledger.state
        past = max(state.known_past, datetime.fromisoformat(manifest.built_utc))
        self._ledger.tell("kept", version=operation.version, took_s=self._took_s)
        self._ledger.change(
            current=operation.version,
            previous=operation.origin,
            floor=max(state.floor, manifest.floor, key=version),
            known_past_utc=past.isoformat(),
            failed=tuple(failed for failed in state.failed if failed != operation.version),
            operation=None,
        )

    def _back(self, operation: Operation) -> None:
        if operation.origin is not None:
            point(self._layout.current, self._layout.release(operation.origin))
            return
        if self._device.units is not None:  # a new device: before this release there was none
            self._device.units.stop()
        self._layout.current.unlink(missing_ok=True)

    def _restart_back(self, operation: Operation) -> None:
        if self._device.units is not None and operation.origin is not None:
            self._device.units.restart(self._manifest(operation.origin).proof.ready_s)

    def _clear(self, operation: Operation) -> None:
        why, took_s = operation.reason, self._took_s
        self._ledger.tell("went_back", version=operation.version, serves=operation.origin, reason=why, took_s=took_s)
        self._ledger.change(operation=None)

    def _remove_unused(self) -> None:
        """Remove archives, and every release but the one that serves and the one before."""
        state = self._ledger.state
        kept = {name for name in (state.current, state.previous) if name is not None}
        for folder in (*self._layout.releases.iterdir(), *_below(self._layout.data / "releases")):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for packed in self._layout.downloads.iterdir():
            packed.unlink()
        environment.remove_unused(self._layout.environments, [self._manifest(name) for name in kept])

    def _archive(self, wanted: str) -> Path:
        return self._layout.downloads / archive_name(wanted, self._device.platform.name)

    def _manifest(self, wanted: str) -> Manifest:
        return read_manifest(self._layout.release(wanted))

    def _preparation(self, wanted: str) -> Preparation:
        return Preparation(self._layout, self._manifest(wanted))

    def _refuse_full(self, folder: Path, needed: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < needed + _SPARE_BYTES:
            raise ReleaseRefused(
                f"{folder} has {free >> 20} MiB free; {(needed + _SPARE_BYTES) >> 20} MiB are needed",
                "Make room: journalctl --vacuum-size=100M",
            )


def _below(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
