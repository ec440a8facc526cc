"""`fvctl support-bundle`: what support needs to know of this device, and nothing that must not leave it.

Needs no network and no running daemon. What goes in is a list of things that may: configuration, doctor's answers,
records of engines, the calibration's head, metrics, the journal's fixed fields, versions, states of units. Names of
terminals, keys, hosts, people and files get pseudonyms, the same for the same thing. The finished bundle is searched
for whatever looks like a key, a photo or a token; where something is found, no bundle is made. It is sealed to the
public key of support that `management.support_key` of the configuration, or --to, names.

Whoever helps makes a pair with --new-key, gives the public half away, and opens bundles with --open.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from daemon import __version__
from daemon.config import Config, load_config
from daemon.errors import ConfigurationRefused, DeviceError
from daemon.private import OWNER_ONLY
from tools.console import OK, progress, say, show
from tools.issuing import PUBLIC, write_new
from tools.reaching import content_of
from tools.support_bundle_journal import lines_of_file, lines_of_unit
from tools.support_bundle_names import Pseudonyms, words_of_the_product
from tools.support_bundle_scan import refuse_leaks
from tools.support_bundle_seal import new_support_key, opened, public_half, sealed, support_key
from tools.support_bundle_sources import Box

_LINES = 2000
"""Of the journal: a day of a quiet branch, an hour of a busy one."""

_DOCTOR_WITHIN_S = 60.0
"""It answers within ten, on a machine that is not busy with something else."""

_ABOUT = f"""What fvctl support-bundle of faceverifyd {__version__} found on a device.

terminal-1, key-2, host-1, address-3, request-4, user-1, id-5, word-6 stand for names that stayed on the device; the
same stands for the same throughout this bundle, and for something else in another. A part that could not be made says
why in its file.
"""


def collected(box: Box, without: list[str]) -> dict[str, bytes]:
    """Every file of a bundle, redacted and searched.

    Args:
        box: the device.
        without: names of files to leave out.

    Raises:
        LeakFound: something in it must not leave the device.
    """
    box.learn_names()
    parts = {name: make for name, make in box.parts().items() if name not in without}
    files = {"README.txt": _ABOUT.encode()}
    for name, make in progress(parts.items(), len(parts), "parts of the bundle"):
        files[name] = _made(make, box.names).encode()
    refuse_leaks(files, box.names.foreign())
    return files


def _made(make: Callable[[], str], names: Pseudonyms) -> str:
    """A part, or why there is none."""
    try:
        return make()
    except DeviceError as error:
        return json.dumps({"not made": names.text(str(error.args[0]))}) + "\n"
    except Exception as error:  # noqa: BLE001 - a bundle is made whatever is broken
        return json.dumps({"not made": names.text(f"{type(error).__name__}")}) + "\n"


def packed(files: dict[str, bytes], made: datetime) -> bytes:
    """The files as a compressed archive that tells nothing of who made it.

    Args:
        files: content by name.
        made: the archive's time.
    """
    content = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=content, mtime=int(made.timestamp())) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, text in files.items():
            entry = tarfile.TarInfo(f"support-bundle/{name}")
            entry.size, entry.mtime = len(text), int(made.timestamp())
            archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


def run(args: argparse.Namespace) -> int:
    """Make a bundle, show what would go in, or do support's side."""
    if args.new_key:
        return _new_key(args)
    if args.open:
        return _open(args)
    load = lru_cache(1)(lambda: load_config(args.config))
    key = None if args.preview or args.unsealed else _key(args, load)
    now = datetime.now(timezone.utc)
    box = Box(load, lambda: _doctor(args.config), lambda: _lines(args), Pseudonyms(words_of_the_product()))
    files = collected(box, args.without)
    if args.preview:
        return _preview(files, args.json)
    content = packed(files, now)
    out = args.out or Path(f"faceverifyd-{now:%Y%m%dT%H%M%SZ}.tar.gz{'' if key is None else '.jwe'}")
    write_new(out, content if key is None else sealed(content, key), OWNER_ONLY)
    if args.names:
        table = {pseudonym: name for name, pseudonym in box.names.given.items()}
        write_new(args.names, (json.dumps(table, indent=1) + "\n").encode(), OWNER_ONLY)
    told = {"bundle": str(out), "sealed_to": "nobody" if key is None else key.get("kid", "the key named")}
    show(told | {"files": ", ".join(files), "bytes": out.stat().st_size}, args.json)
    return OK


def _key(args: argparse.Namespace, load: Callable[[], Config]) -> dict[str, object]:
    """To whom the bundle is sealed.

    Raises:
        ConfigurationRefused: nobody is named.
        KeyRefused: see `support_key`.
    """
    path = args.to
    if path is None:
        with suppress(DeviceError):  # a broken configuration is what the bundle may be about
            path = load().management.support_key
    if path is None:
        raise ConfigurationRefused(
            "nobody is named to seal the bundle to",
            "Name support's public key: --to FILE, or management.support_key in the configuration; or --unsealed.",
        )
    return support_key(content_of(path))


def _doctor(config: Path) -> list[dict[str, object]]:
    """Doctor's answers, asked in a process of its own: what it looks at may be so broken that it ends the process.

    Raises:
        ConfigurationRefused: it gave none.
    """
    command = [sys.executable, "-m", "tools.cli", "doctor", "--json", "--config", str(config)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_DOCTOR_WITHIN_S, check=False)
        return list(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ConfigurationRefused(f"doctor gave no answers: {type(error).__name__}", "Ask it: fvctl doctor") from None


def _lines(args: argparse.Namespace) -> list[str]:
    return lines_of_file(args.journal, args.lines) if args.journal else lines_of_unit(args.lines)


def _preview(files: dict[str, bytes], as_json: bool) -> int:
    texts = {name: content.decode() for name, content in files.items()}
    if as_json:
        show(dict(texts), True)
        return OK
    for name, text in texts.items():
        sys.stdout.write(f"== {name}\n{text}\n")
    say("nothing was written; this is all that would go in")
    return OK


def _new_key(args: argparse.Namespace) -> int:
    key = new_support_key()
    write_new(args.new_key, (json.dumps(key) + "\n").encode(), OWNER_ONLY)
    public = args.new_key.with_suffix(".public.jwk")
    write_new(public, (json.dumps(public_half(key)) + "\n").encode(), PUBLIC)
    told = {"private": str(args.new_key), "public": str(public), "kid": key["kid"]}
    show(told | {"next": "keep the private one where support works; give the public one to devices"}, args.json)
    return OK


def _open(args: argparse.Namespace) -> int:
    if args.key is None:
        raise ConfigurationRefused("no key is named to open the bundle with", "Name it: --key FILE")
    out = args.out or args.open.with_suffix("")
    write_new(out, opened(content_of(args.open), content_of(args.key)), OWNER_ONLY)
    show({"bundle": str(out), "next": f"tar -xzf {out}"}, args.json)
    return OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--preview", action="store_true", help="show all that would go in, and write nothing")
    what.add_argument("--open", type=Path, metavar="BUNDLE", help="support's side: open a bundle with --key")
    what.add_argument("--new-key", type=Path, metavar="FILE", help="support's side: make a pair of keys")
    sealing = parser.add_mutually_exclusive_group()
    sealing.add_argument("--to", type=Path, metavar="FILE", help="public JWK to seal to (default: the configuration's)")
    sealing.add_argument("--unsealed", action="store_true", help="seal it to nobody: whoever gets it can read it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: named by the time)")
    parser.add_argument("--key", type=Path, metavar="FILE", help="private JWK, for --open")
    parser.add_argument("--names", type=Path, metavar="FILE", help="write here which pseudonym is whose; it stays here")
    parser.add_argument("--without", action="append", default=[], metavar="FILE", help="leave this file out")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="take the journal's lines from a file")
    parser.add_argument("--lines", type=int, default=_LINES, help=f"of the journal, at most (default: {_LINES})")
