"""The Debian package for a device that has nothing yet: the updater, the account, the folders, the units.

    apt install ./faceverifyd-bootstrap_VERSION_ARCH.deb
    fvctl release install

The updater is the appliance's own wheel with the few packages that `fvctl release` needs; the package's own script
makes its environment from them, without an index. The units are links through `current`: a release brings its own.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from datetime import datetime
from email import message_from_bytes
from email.utils import format_datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from daemon.errors import ReleaseRefused
from tools.releases.closure import requirements
from tools.releases.manifest import Manifest, read_manifest
from tools.releases.platforms import Platform, known

PACKAGE = "faceverifyd-bootstrap"
_NEEDED = ("cryptography", "packaging", "pydantic", "pyyaml", "rich", "tuf")
"""What the modules that `fvctl release` imports on a device import themselves."""

_MINE = Path(__file__).with_name("debian")
"""The package's scripts and texts, as they are."""

_HOME = Path("usr", "lib", PACKAGE)
_CURRENT = "/opt/faceverifyd/current"
_LINKED = (
    "faceverifyd.service",
    "faceverifyd.service.d",
    "faceverifyd.socket",
    "faceverifyd-engines.service",
    "faceverifyd-engines.service.d",
    "faceverifyd-doctor.service",
    "faceverifyd-doctor.timer",
)
_SCRIPTS = ("postinst", "prerm", "postrm")
_OWN_UNITS = ("faceverifyd-release.service", "faceverifyd-update.service", "faceverifyd-update.timer")


def build_bootstrap(release: Path, trusted_root: Path, out: Path, source: str | None) -> Path:
    """Make the package for the platform of a release, to the byte the same each time.

    Args:
        release: folder of a release, whose wheels are taken.
        trusted_root: the repository's root, which the device believes from then on.
        out: folder for the package.
        source: address that the device takes releases from; None where they come by stick.

    Raises:
        ReleaseRefused: a wheel is missing, or Debian's tools refuse.
    """
    manifest = read_manifest(release)
    target = known(manifest.platform)
    tree = out / f".making-{PACKAGE}"
    shutil.rmtree(tree, ignore_errors=True)
    try:
        _fill(tree, release, trusted_root, source)
        _describe(tree, manifest, target)
        _settle(tree)
        package = out / f"{PACKAGE}_{manifest.version}_{target.debian}.deb"
        _run(manifest, "dpkg-deb", "--root-owner-group", "-Zxz", "-z0", "--build", str(tree), str(package))
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return package


def _fill(tree: Path, release: Path, trusted_root: Path, source: str | None) -> None:
    home = tree / _HOME
    (home / "wheels").mkdir(parents=True)
    wheels = _updater_wheels(sorted((release / "wheels").glob("*.whl")))
    for wheel in wheels:
        shutil.copyfile(wheel, home / "wheels" / wheel.name)
    (home / "updater.txt").write_bytes(requirements(wheels))
    shutil.copyfile(trusted_root, home / "root.json")
    _put(tree / "usr" / "bin" / "fvctl", (_MINE / "fvctl").read_bytes(), 0o755)
    systemd = release / "systemd"
    _put(tree / "usr/lib/sysusers.d/faceverifyd.conf", (systemd / "faceverifyd.sysusers.conf").read_bytes())
    _put(tree / "usr/lib/tmpfiles.d/faceverifyd.conf", (systemd / "faceverifyd.tmpfiles.conf").read_bytes())
    units = tree / "usr" / "lib" / "systemd" / "system"
    links = "".join(f"L /etc/systemd/system/{name} - - - - {_CURRENT}/units/{name}\n" for name in _LINKED)
    text = f"# A release brings its own units: they are switched with it.\n{links}"
    _put(tree / "usr/lib/tmpfiles.d/faceverifyd-units.conf", text.encode())
    for name in _OWN_UNITS:
        _put(units / name, (_MINE / name).read_bytes())
    stated = "null" if source is None else f'"{source}"'
    _put(
        tree / "etc/faceverifyd/release.yaml", f"source: {stated}   # a web server's address; null: by stick\n".encode()
    )


def _updater_wheels(wheels: list[Path]) -> list[Path]:
    """The appliance's own wheel, and what the updater needs with all that this needs in turn."""
    by_name = {canonicalize_name(parse_wheel_filename(wheel.name)[0]): wheel for wheel in wheels}
    wanted, found = [canonicalize_name(name) for name in _NEEDED], {canonicalize_name("faceverifyd")}
    while wanted:
        name = wanted.pop()
        if name in by_name and name not in found:
            found.add(name)
            wanted += [canonicalize_name(needed) for needed in _needs(by_name[name])]
    missing = {canonicalize_name(name) for name in ("faceverifyd", *_NEEDED)} - set(by_name)
    if missing:
        raise ReleaseRefused(f"the release has no wheel of {', '.join(sorted(missing))}", "Build it anew.")
    return sorted(by_name[name] for name in found)


def _needs(wheel: Path) -> Iterable[str]:
    """Names of what a wheel requires, extras aside; what is not for this platform is in no release of it."""
    with zipfile.ZipFile(wheel) as opened:
        (member,) = [
            name for name in opened.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
        ]
        described = message_from_bytes(opened.read(member))
    for stated in described.get_all("Requires-Dist", []):
        requirement = Requirement(stated)
        if requirement.marker is None or "extra" not in str(requirement.marker):
            yield requirement.name


def _describe(tree: Path, manifest: Manifest, target: Platform) -> None:
    """What dpkg reads, and the texts that Debian's policy asks for."""
    major, minor = target.python.split(".")
    fields = {
        "version": f"{manifest.version}",
        "architecture": target.debian,
        "size": str(sum(path.stat().st_size for path in tree.rglob("*") if not path.is_symlink()) >> 10),
        "python": target.python,
        "next_python": f"{major}.{int(minor) + 1}",
    }
    control = (_MINE / "control").read_text("utf-8").format(**fields)
    _put(tree / "DEBIAN" / "control", control.encode())
    _put(tree / "DEBIAN" / "conffiles", b"/etc/faceverifyd/release.yaml\n")
    for script in _SCRIPTS:
        _put(tree / "DEBIAN" / script, (_MINE / script).read_bytes(), 0o755)
    texts = tree / "usr" / "share" / "doc" / PACKAGE
    changes = (_MINE / "changelog").read_text("utf-8").format(version=manifest.version, date=_date(manifest))
    _put(texts / "changelog.gz", gzip.compress(changes.encode(), 9, mtime=0))
    _put(texts / "copyright", (_MINE / "copyright").read_bytes())
    page = (_MINE / "fvctl.8").read_bytes()
    _put(tree / "usr/share/man/man8/fvctl.8.gz", gzip.compress(page, 9, mtime=0))


def _date(manifest: Manifest) -> str:
    return format_datetime(datetime.fromisoformat(manifest.built_utc))


def _settle(tree: Path) -> None:
    """Modes and times that do not depend on who builds it."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    tree.chmod(0o755)


def _put(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _run(manifest: Manifest, *command: str) -> str:
    """One of Debian's tools, which gives everything the release's time."""
    epoch_s = int(datetime.fromisoformat(manifest.built_utc).timestamp())
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch_s), "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseRefused(f"{command[0]}: {done.stderr.strip()}", "Install Debian's dpkg.")
    return done.stdout
