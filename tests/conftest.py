"""What the tests stand on: real engines, real sample photos, a real gunicorn. Nothing of ours is replaced."""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import Config, Pkcs11, load_config
from daemon.sealed.legacy import PUBLISHED_IV, PUBLISHED_KEY, LegacyFormat, LegacyKey
from tests.running_daemon import RunningDaemon
from tests.softhsm import PROGRAM, is_installed, software_token
from tools.demonstration import ensure_keys, recognition_for
from tools.engines import build_engine
from tools.samples import sample_photos

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = REPOSITORY / ".state"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the long tests do."""
    parser.addoption("--memory-requests", type=int, default=120, help="requests before memory is searched")
    parser.addoption("--all-pairs", action="store_true", help="all listed pairs of LFW, not every sixth")
    parser.addoption("--all-releases", type=int, default=0, help="every broken release, and so many kills of an update")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the photos for measuring where they are absent, saying so."""
    if SHARED_DATA.is_dir():
        return
    for item in items:
        if item.get_closest_marker("shared_data"):
            item.add_marker(pytest.mark.skip(reason=f"{SHARED_DATA} is absent"))


def need(program: str, found: bool) -> None:
    """Skip with the reason where a program is missing; in CI it must be there."""
    if not found:
        assert not os.environ.get("CI"), f"{program} must be installed in CI"
        pytest.skip(f"{program} is not installed")


def need_8_bit_products() -> None:
    """Skip with the reason where the processor would overflow in 8 bits: `tools/quickstart` takes another network."""
    if recognition_for(Path("/proc/cpuinfo").read_text("ascii", "replace")) != "sface_int8":
        pytest.skip("this processor has no products of 8 bits that are summed in 32")


class Site:
    """Makes configuration files like the shipped one, for the CPU, with what a test changes."""

    def __init__(self, folder: Path, engines: Path) -> None:
        self.folder = folder
        shipped = yaml.safe_load((REPOSITORY / "systemd" / "faceverifyd.yaml").read_text("utf-8"))
        shipped["inference"] |= {
            "accelerator": "cpu",
            "networks": str(REPOSITORY / "trt_engines"),
            "engines": str(engines),
        }
        shipped["environment"] = "development"
        shipped["keys"] |= {"store": str(folder / "keys"), "kek": "file", "file": str(folder / "kek")}
        shipped["sealed"] |= {"legacy": True, "allow_published_key": True}
        shipped["terminals"] |= {"requests_per_minute": 1_000_000, "burst": 1_000_000}
        self.document: dict[str, Any] = shipped
        ensure_keys(load_config(self.write()))

    def write(self, name: str = "faceverifyd.yaml", **changes: Any) -> Path:  # noqa: ANN401 - YAML
        """A configuration file; `changes` are merged into the sections they name."""
        document = copy.deepcopy(self.document)
        for section, values in changes.items():
            document[section] = document[section] | values if isinstance(values, dict) else values
        path = self.folder / name
        path.write_text(yaml.safe_dump(document))
        return path


@pytest.fixture(scope="session")
def gpu_site_packages() -> Path:
    """Where the wheel with GPUs is installed, over what the tests run with; this machine need not have one."""
    made = subprocess.run([REPOSITORY / "tools" / "environment", "gpu"], capture_output=True, text=True, check=False)
    need("onnxruntime-gpu", made.returncode == 0)
    (found,) = (REPOSITORY / made.stdout.strip() / "lib").glob("python3*/site-packages")
    return found


@pytest.fixture(scope="session")
def engines() -> Path:
    """Folder with engines built for this machine by the real recipe; one for each lane of tools/test."""
    return STATE / f"test-engines{os.environ.get('FACEVERIFYD_TEST_LANE', '')}"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, engines: Path) -> Site:
    """A site whose engines are built."""
    made = Site(tmp_path_factory.mktemp("site"), engines)
    settings = load_config(made.write()).inference
    for name in (settings.detection, settings.recognition):
        build_engine(settings.networks / name, settings, STATE / "cache")
    return made


@pytest.fixture(scope="session")
def config(site: Site) -> Config:
    """The site's configuration, loaded."""
    return load_config(site.write())


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pkcs11]:
    """A token in software that holds nothing; one for all, as a process reads its settings once: use own labels."""
    need(PROGRAM, is_installed())
    with software_token(tmp_path_factory.mktemp("token")) as settings:
        yield settings


@pytest.fixture(scope="session")
def samples() -> dict[str, bytes]:
    """Sample photos, JPEG bytes by name: obama, obama2, obama3, biden."""
    return sample_photos(STATE / "cache")


@pytest.fixture(scope="session")
def legacy() -> LegacyFormat:
    """The legacy format with the published key."""
    return LegacyFormat(LegacyKey(PUBLISHED_KEY.encode(), PUBLISHED_IV.encode()))


@pytest.fixture(scope="session")
def daemon(site: Site) -> Iterator[RunningDaemon]:
    """A real gunicorn that serves the site, shared by all tests that only ask it."""
    with RunningDaemon(site.write("shared.yaml"), site.folder / "shared.log") as running:
        yield running
