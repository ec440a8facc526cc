"""A small real release: this checkout with the few packages that `fvctl release` needs; and a disk for it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.releases import Published, build, skip_elsewhere
from tools.releases.installation import Device, Installer
from tools.releases.layout import Layout
from tools.releases.platforms import PLATFORMS
from tools.releases.state import Ledger

_FEW = {
    *("annotated-types", "pydantic", "pydantic-core", "pyyaml", "typing-extensions", "typing-inspection"),
    *("cffi", "cryptography", "packaging", "pycparser", "securesystemslib", "tuf", "urllib3"),
    *("markdown-it-py", "mdurl", "pygments", "rich"),
}
"""What `fvctl release` needs on a device, with all that this needs in turn."""


@pytest.fixture(scope="session")
def few_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of the lock that `fvctl release` needs on a device."""
    whole = (REPOSITORY / "tools" / "locks" / "runtime.txt").read_text("utf-8")
    entries = re.findall(r"^\S.*(?:\n .*)*", whole, re.MULTILINE)
    lock = tmp_path_factory.mktemp("lock") / "few.txt"
    lock.write_text("\n".join(entry for entry in entries if entry.partition("==")[0] in _FEW))
    return lock


@pytest.fixture(scope="session")
def small_release(site: object, few_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release by `fvctl release build`; its archive is beside it. `site` fills the cache."""
    skip_elsewhere()
    return build(tmp_path_factory.mktemp("built"), lock=few_packages)


class Disk:
    """A disk that releases are laid out on; nothing runs there.

    Attributes:
        layout: where things are.
        published: what it is updated from.
    """

    def __init__(self, root: Path, published: Published) -> None:
        self.layout, self.published = Layout(root), published
        self.layout.make_folders()
        (root / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")

    @property
    def ledger(self) -> Ledger:
        """What the disk says that it is at."""
        return Ledger(self.layout.state)

    def installer(self) -> Installer:
        """What carries it out."""
        platform = PLATFORMS["x86_64-py311"]
        device = Device(self.layout, platform, None, self.published.root, lambda: self.published.now)
        return Installer(device, self.ledger)

    def install(self, version: str, source: Path | str | None = None) -> str:
        """Install a release from the repository's folder, or from elsewhere; why it went back."""
        installer = self.installer()
        installer.begin("install", version, str(source or self.published.folder))
        return installer.go_on()

    def snapshot(self) -> str:
        """Everything that serving depends on."""
        state = self.ledger.state
        return json.dumps([self.layout.serving(), state.current, state.previous, state.floor, sorted(self._releases())])

    def _releases(self) -> list[str]:
        return [path.name for path in self.layout.releases.iterdir()]


@pytest.fixture
def published(tmp_path: Path) -> Published:
    """A repository without releases."""
    return Published(tmp_path / "repository")


@pytest.fixture
def disk(tmp_path: Path, published: Published) -> Disk:
    """An empty disk."""
    return Disk(tmp_path / "disk", published)
