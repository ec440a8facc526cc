"""What those who make releases do: build, sign, publish. Imports only what an action needs."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import ReleaseRefused
from tools.console import NEEDS_DOING, OK, actions, say, show
from tools.releases.manifest import MANIFEST_FILE, parse_manifest
from tools.releases.platforms import PLATFORMS, known

if TYPE_CHECKING:
    from tools.releases.repository import Signers

Add = Callable[[str, Callable[[argparse.Namespace, None], int], str], argparse.ArgumentParser]
_REPOSITORY = Path(__file__).resolve().parents[2]


def _build(args: argparse.Namespace, _: None) -> int:
    from tools.releases.building import Order, build_release

    began = time.monotonic()
    order = Order(known(args.platform), args.out, args.cache, args.lock, args.onnxruntime, _epoch_s())
    order.out.mkdir(parents=True, exist_ok=True)
    archive = build_release(order)
    from tools.releases.manifest import sha256_of

    show(
        {
            "archive": archive,
            "bytes": archive.stat().st_size,
            "sha256": sha256_of(archive),
            "seconds": round(time.monotonic() - began, 1),
        },
        args.json,
    )
    return OK


def _deb(args: argparse.Namespace, _: None) -> int:
    from tools.releases.bootstrap import build_bootstrap

    show({"package": build_bootstrap(args.release, args.root_json, args.out, args.source)}, args.json)
    return OK


def _epoch_s() -> int:
    """The time of everything that is built: SOURCE_DATE_EPOCH, else the last commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "-C", str(_REPOSITORY), "log", "-1", "--format=%ct"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        given = done.stdout.strip()
    if not given.isdigit():
        raise ReleaseRefused("the time of the sources is unknown", "Set SOURCE_DATE_EPOCH to seconds since 1970.")
    return int(given)


def _new_key(args: argparse.Namespace, _: None) -> int:
    from tools.releases.role_keys import PASSPHRASE_VARIABLE, make_key

    if not os.environ.get(PASSPHRASE_VARIABLE):
        say(f"{args.file} is not encrypted: set {PASSPHRASE_VARIABLE} to encrypt it")
    show({"key": args.file, "keyid": make_key(args.file)}, args.json)
    return OK


def _root(args: argparse.Namespace, _: None) -> int:
    from tools.releases.repository import Repository
    from tools.releases.role_keys import load_public

    keys = {role: [load_public(path) for path in getattr(args, role)] for role in _TOP}
    repository = Repository(args.repository)
    show({"root": repository.make_root(keys, args.threshold), "to_sign": repository.unsigned()}, args.json)
    return OK


def _delegate(args: argparse.Namespace, _: None) -> int:
    from tools.releases.repository import Repository
    from tools.releases.role_keys import load_public

    repository = Repository(args.repository)
    done = repository.delegate([load_public(path) for path in args.releases], _signers(args.sign))
    show({"targets": done, "to_sign": repository.unsigned()}, args.json)
    return OK


def _publish(args: argparse.Namespace, _: None) -> int:
    from tools.releases.repository import Repository

    archives = {archive: parse_manifest(_manifest_of(archive)) for archive in args.archives}
    left = Repository(args.repository).publish(archives, args.rollout, _signers(args.sign))
    show({"published": [archive.name for archive in archives], "to_sign": left}, args.json)
    return NEEDS_DOING if left else OK


def _rollout(args: argparse.Namespace, _: None) -> int:
    from tools.releases.repository import Repository

    left = Repository(args.repository).set_rollout(args.archive, args.percent, _signers(args.sign))
    show({"archive": args.archive, "rollout_percent": args.percent, "to_sign": left}, args.json)
    return NEEDS_DOING if left else OK


def _sign(args: argparse.Namespace, _: None) -> int:
    from tools.releases.repository import Repository
    from tools.releases.role_keys import load_signer

    left = Repository(args.repository).sign(args.role, load_signer(args.key))
    show({"signed": args.role, "to_sign": left}, args.json)
    return NEEDS_DOING if left else OK


def _manifest_of(archive: Path) -> bytes:
    """The manifest of the folder beside an archive, which was built with it."""
    try:
        return (archive.with_suffix("") / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise ReleaseRefused(f"{error.filename}: {error.strerror}", "Keep archive and folder side by side.") from None


def _signers(given: Sequence[str]) -> Signers:
    from tools.releases.repository import ROLES
    from tools.releases.role_keys import load_signer

    found: dict[str, list[object]] = {}
    for one in given:
        role, _, path = one.partition("=")
        if role not in ROLES or not path:
            raise ReleaseRefused(f"--sign {one}", f"Write ROLE=FILE; ROLE is one of {', '.join(ROLES)}.")
        found.setdefault(role, []).append(load_signer(Path(path)))
    return found  # type: ignore[return-value]


_TOP = ("root", "targets", "snapshot", "timestamp")
_SIGN = {"action": "append", "default": [], "metavar": "ROLE=FILE", "help": "sign now, with this key"}


def add_arguments(add: Add) -> None:
    """The actions of those who make releases."""
    build = add("build", _build, "put a release together, to the byte the same each time")
    build.add_argument("--platform", required=True, choices=tuple(PLATFORMS))
    build.add_argument("--out", type=Path, required=True, help="folder for the archive, and for the folder it holds")
    build.add_argument("--onnxruntime", type=Path, help="the device's own wheel, with TensorRT")
    build.add_argument("--lock", type=Path, default=_REPOSITORY / "tools" / "locks" / "runtime.txt")
    build.add_argument("--cache", type=Path, default=_REPOSITORY / ".state" / "cache", help="what was fetched before")
    deb = add("deb", _deb, "the Debian package for a device that has nothing yet")
    deb.add_argument("--release", type=Path, required=True, help="folder of a release of the same platform")
    deb.add_argument("--root-json", type=Path, required=True, help="the repository's root, which the device trusts")
    deb.add_argument("--source", help="address that the device takes releases from")
    deb.add_argument("--out", type=Path, required=True, help="folder for the package")
    _add_keys(add)
    publish = add("publish", _publish, "add releases to the repository, and say anew that all is the newest")
    publish.add_argument("repository", type=Path)
    publish.add_argument("archives", type=Path, nargs="*")
    publish.add_argument("--rollout", type=int, default=0, help="percent of the fleet that takes it by itself")
    publish.add_argument("--sign", **_SIGN)  # type: ignore[arg-type]
    rollout = add("rollout", _rollout, "let another share of the fleet take a release; 0 holds it back")
    rollout.add_argument("repository", type=Path)
    rollout.add_argument("archive", help="its name")
    rollout.add_argument("percent", type=int)
    rollout.add_argument("--sign", **_SIGN)  # type: ignore[arg-type]
    sign = add("sign", _sign, "add a signature, where the key is")
    sign.add_argument("repository", type=Path)
    sign.add_argument("role")
    sign.add_argument("key", type=Path)


def _add_keys(add: Add) -> None:
    keys = actions(add("keys", _sign, "make keys, and say who signs what"))
    new = keys("new", _new_key, "a key pair: FILE, and FILE.pub")
    new.add_argument("file", type=Path)
    root = keys("root", _root, "the next root: who signs what from now on")
    root.add_argument("repository", type=Path)
    root.add_argument("--threshold", type=int, required=True, help="how many of the root's keys must sign")
    for role in _TOP:
        root.add_argument(f"--{role}", type=Path, action="append", required=True, metavar="FILE.pub")
    delegate = keys("delegate", _delegate, "whose word on releases counts from now on")
    delegate.add_argument("repository", type=Path)
    delegate.add_argument("--releases", type=Path, action="append", required=True, metavar="FILE.pub")
    delegate.add_argument("--sign", **_SIGN)  # type: ignore[arg-type]
