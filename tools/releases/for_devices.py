"""What a device does about releases: says what it is at, looks, installs, goes back."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic.dataclasses import dataclass as checked

from daemon.errors import ReleaseRefused
from daemon.yaml_file import STRICT, read_yaml
from tools.console import NEEDS_DOING, OK, say, show, show_rows
from tools.releases.installation import Device, Installer
from tools.releases.layout import Layout
from tools.releases.platforms import own_platform
from tools.releases.rollout import device_id, next_offer, why_not
from tools.releases.state import Ledger, State, alone
from tools.releases.units import Systemd

Add = Callable[[str, Callable[[argparse.Namespace, None], int], str], argparse.ArgumentParser]
_ROOT = Path("/")


@checked(frozen=True, slots=True, config=STRICT)
class Settings:
    """/etc/faceverifyd/release.yaml: the web server that releases come from; null where they come by stick alone."""

    source: str | None


@dataclass(frozen=True, slots=True)
class _Here:
    """What every command needs."""

    layout: Layout
    ledger: Ledger

    def device(self, trusted_root: Path | None) -> Device:
        """The device, with the root that it trusts."""
        path = trusted_root or self.layout.trusted_root
        try:
            root = path.read_bytes()
        except OSError as error:
            raise ReleaseRefused(f"{path}: {error.strerror}", "Install faceverifyd-bootstrap.deb.") from None
        units = Systemd() if self.layout.root == _ROOT else None
        return Device(self.layout, own_platform(self.layout.root), units, root)


def _here(args: argparse.Namespace) -> _Here:
    os.umask(0o022)  # what is installed is for every account to read, whatever the shell says
    layout = Layout(args.root.resolve())
    try:
        layout.make_folders()
    except PermissionError as error:
        raise ReleaseRefused(f"{error.filename}: not allowed", "Run it as root: sudo fvctl release") from None
    return _Here(layout, Ledger(layout.state))


def _address(args: argparse.Namespace, layout: Layout) -> str:
    if args.source is not None:
        return str(args.source)
    settings = layout.configuration / "release.yaml"
    stated = read_yaml(settings, Settings).source if settings.exists() else None
    if stated is None:
        raise ReleaseRefused(f"{settings} names no source", "Name one: --source ADDRESS, or --source /media/STICK")
    return stated


def _status(args: argparse.Namespace, _: None) -> int:
    here = _here(args)
    state, operation = here.ledger.state, here.ledger.state.operation
    fields = {
        "serves": here.layout.serving(),
        "proven": state.current,
        "previous": state.previous,
        "floor": state.floor,
        "failed": list(state.failed),
        "held": here.layout.hold.exists(),
        "operation": f"{operation.kind} {operation.version}: {operation.step.value}" if operation else None,
    }
    show(fields, args.json)
    if operation is not None:
        say("it was interrupted: fvctl release resume")
    return OK if operation is None and state.current is not None else NEEDS_DOING


def _check(args: argparse.Namespace, _: None) -> int:
    here = _here(args)
    with alone(here.layout.state):
        device = here.device(args.trusted_root)
        offers = Installer(device, here.ledger).source(_address(args, here.layout)).offers(device.platform.name)
    mine, state = device_id(here.layout.root), here.ledger.state
    rows = [
        {
            "version": offer.version,
            "MiB": offer.size >> 20,
            "rollout_percent": offer.rollout_percent,
            "takes_it": "yes" if not (why := why_not(offer, state, mine)) else f"no: {why}",
        }
        for offer in offers
    ]
    show_rows(rows, args.json)
    return NEEDS_DOING if next_offer(offers, state, mine) else OK


def _install(args: argparse.Namespace, _: None) -> int:
    here = _here(args)
    with alone(here.layout.state):
        _refuse_held(here.layout)
        installer = Installer(here.device(args.trusted_root), here.ledger)
        _finish(installer, here.ledger)
        wanted, address = _chosen(args, here, installer)
        if wanted is None:
            return _say_served(here, args.json)
        installer.begin("install", wanted, address)
        return _told(installer.go_on(), here, args.json)


def _chosen(args: argparse.Namespace, here: _Here, installer: Installer) -> tuple[str | None, str]:
    """The version to install, None where there is none for this device; and the address."""
    if args.version is not None and args.version == here.ledger.state.current:
        return None, ""
    address = _address(args, here.layout)
    if args.source is not None and "://" not in address:
        address = str(Path(address).resolve())
    source = installer.source(address)
    if args.version is not None:
        return args.version, address
    offers = source.offers(own_platform(here.layout.root).name)
    offer = next_offer(offers, here.ledger.state, device_id(here.layout.root))
    return (offer.version if offer else None), address


def _rollback(args: argparse.Namespace, _: None) -> int:
    here = _here(args)
    with alone(here.layout.state):
        installer = Installer(here.device(args.trusted_root), here.ledger)
        _finish(installer, here.ledger)
        previous = here.ledger.state.previous
        if previous is None:
            raise ReleaseRefused("there is no release before the one that serves", "Run: fvctl release install VERSION")
        installer.begin("rollback", previous, "")
        return _told(installer.go_on(), here, args.json)


def _resume(args: argparse.Namespace, _: None) -> int:
    here = _here(args)
    with alone(here.layout.state):
        if here.ledger.state.operation is None:
            return _say_served(here, args.json)
        return _told(Installer(here.device(args.trusted_root), here.ledger).go_on(), here, args.json)


def _history(args: argparse.Namespace, _: None) -> int:
    show_rows(_here(args).ledger.history(), args.json)
    return OK


def _refuse_held(layout: Layout) -> None:
    if layout.hold.exists():
        raise ReleaseRefused(f"{layout.hold} holds this device back", f"Remove it: rm {layout.hold}")


def _finish(installer: Installer, ledger: Ledger) -> None:
    """First what was interrupted."""
    if ledger.state.operation is not None:
        say(f"{ledger.state.operation.version}: was interrupted, goes on")
        installer.go_on()


def _told(reason: str, here: _Here, as_json: bool) -> int:
    if reason:
        serves = here.layout.serving() or "nothing"
        raise ReleaseRefused(f"went back, {serves} serves: {reason}", "fvctl release history has it all.")
    return _say_served(here, as_json)


def _say_served(here: _Here, as_json: bool) -> int:
    state: State = here.ledger.state
    show({"serves": here.layout.serving(), "previous": state.previous, "floor": state.floor}, as_json)
    return OK if state.current is not None else NEEDS_DOING


def add_arguments(add: Add) -> None:
    """The actions of a device."""
    acts = (
        ("status", _status, "which release serves, and what is being done"),
        ("check", _check, "which releases are published for this device, and whether it is its turn"),
        ("install", _install, "install the release whose turn it is, or the one that is named"),
        ("rollback", _rollback, "go back to the release before"),
        ("resume", _resume, "go on with what was interrupted"),
        ("history", _history, "what was installed, and what went back and why"),
    )
    for name, act, summary in acts:
        action = add(name, act, summary)
        action.add_argument(
            "--root", type=Path, default=_ROOT, help="a disk that is being made, instead of this device"
        )
        action.add_argument("--trusted-root", type=Path, help="root.json that is trusted (default: the bootstrap's)")
        if name in ("check", "install"):
            action.add_argument("--source", help="address of a web server, or a folder (default: release.yaml's)")
        if name == "install":
            action.add_argument("version", nargs="?", help="install this one, whosever turn it is")
