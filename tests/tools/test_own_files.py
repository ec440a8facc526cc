"""What a release brings is found beside the packages, or beside the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tools.own_files import own_folder


def test_in_a_checkout_it_is_beside_the_packages() -> None:
    assert own_folder("systemd") == REPOSITORY / "systemd"
    assert own_folder("nowhere") == REPOSITORY / "nowhere"


def test_on_a_device_it_is_beside_the_environment(tmp_path: Path) -> None:
    """The appliance's packages inside an environment, as a release has them."""
    (tmp_path / "wheels").mkdir()
    packages = tmp_path / "packages"
    (packages / "tools").mkdir(parents=True)
    for name in ("__init__.py", "own_files.py"):
        (packages / "tools" / name).write_text((REPOSITORY / "tools" / name).read_text())
    ask = f"import sys; sys.path.insert(0, {str(packages)!r}); sys.prefix = {str(tmp_path / 'venv')!r}\n"
    ask += "from tools.own_files import own_folder; print(own_folder('wheels'))"
    done = subprocess.run([sys.executable, "-I", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "wheels")
