"""Where everything of releases is on a device, below its root folder.

/opt/faceverifyd/releases/VERSION      a release, its environment beside it
/opt/faceverifyd/environments/ID       packages that releases share: made once, at the path they work at
/opt/faceverifyd/current               link to the release that serves; the one thing that is switched
/opt/faceverifyd/good                  link to the last release that proved itself; its tools do the next change
/var/lib/faceverifyd-release           state, history, what was seen of the repository, archives; root alone
/var/lib/faceverifyd/releases/VERSION  engines of a release; the daemon's account
/var/lib/faceverifyd/engines, cache    links through `current`: they are switched with it
/etc/faceverifyd/release.yaml, hold    where releases come from; the file that holds this device back
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tools.whole_file import sync_folder


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of a device; with another root, of a disk that is being made."""

    root: Path

    @property
    def opt(self) -> Path:
        """Of the programs."""
        return self.root / "opt" / "faceverifyd"

    @property
    def environments(self) -> Path:
        """Of the packages that releases share."""
        return self.opt / "environments"

    @property
    def current(self) -> Path:
        """The link that is switched."""
        return self.opt / "current"

    @property
    def good(self) -> Path:
        """The link to what proved itself."""
        return self.opt / "good"

    @property
    def state(self) -> Path:
        """Folder of what the device knows of releases."""
        return self.root / "var" / "lib" / "faceverifyd-release"

    @property
    def downloads(self) -> Path:
        """Folder of archives."""
        return self.state / "downloads"

    @property
    def data(self) -> Path:
        """The daemon's own folder."""
        return self.root / "var" / "lib" / "faceverifyd"

    @property
    def configuration(self) -> Path:
        """Folder of the site's settings."""
        return self.root / "etc" / "faceverifyd"

    @property
    def hold(self) -> Path:
        """While this file is there, no release is taken."""
        return self.configuration / "hold"

    @property
    def trusted_root(self) -> Path:
        """The root of the repository that came with the device."""
        return self.root / "usr" / "lib" / "faceverifyd-bootstrap" / "root.json"

    @property
    def releases(self) -> Path:
        """Folder of all releases."""
        return self.opt / "releases"

    def release(self, version: str) -> Path:
        """Folder of one release."""
        return self.releases / version

    def data_of(self, version: str) -> Path:
        """Folder of what was made for one release on this device."""
        return self.data / "releases" / version

    def serving(self) -> str | None:
        """The version that `current` leads to."""
        return self.current.readlink().name if self.current.is_symlink() else None

    def make_folders(self) -> None:
        """Every folder that an installation expects."""
        for folder in (self.releases, self.environments, self.configuration):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.state, self.downloads):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)


def point(link: Path, target: Path) -> None:
    """Make a link lead elsewhere, in one step that a power cut leaves done or undone."""
    making = link.with_name(f".{link.name}.making")
    making.unlink(missing_ok=True)
    making.symlink_to(os.path.relpath(target, link.parent))
    making.replace(link)
    sync_folder(link.parent)
