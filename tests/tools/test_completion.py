"""bash and zsh complete commands and options by the script alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need
from tools.cli import main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash, as fvctl prints it."""
    capture = tmp_path_factory.mktemp("completion") / "fvctl"
    with pytest.MonkeyPatch.context() as patch, capture.open("w") as out:
        patch.setattr("sys.stdout", out)
        assert main(["completion", "bash"]) == 0
    return capture


def _completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; "
        '_shtab_fvctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked], capture_output=True, text=True, check=False, cwd=script.parent
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("fvctl", "ke"), ["keys"]),
        (("fvctl", "keys", "ro"), ["rotate-kek"]),
        (("fvctl", "keys", "add", "--act"), ["--activate"]),
        (("fvctl", "engines", "build", "--mis"), ["--missing"]),
        (("fvctl", "keys", "add", "--kind", "p-"), ["p-256"]),
    ],
)
def test_bash_completes(script: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert _completed(script, *words) == offered


def test_bash_completes_files_where_a_file_belongs(script: Path) -> None:
    (script.parent / "photo.jpg").touch()
    assert _completed(script, "fvctl", "photo", "seal", "--out", "pho") == ["photo.jpg"]


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "zsh"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("#compdef fvctl")
    assert "rotate-kek" in written
    if shutil.which("zsh"):
        (tmp_path / "_fvctl").write_text(written)
        subprocess.run(["zsh", "-n", str(tmp_path / "_fvctl")], check=True)


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "fish"])
    assert ended.value.code == 64
    assert "fish" in capsys.readouterr().err


def test_bash_reads_the_script(script: Path) -> None:
    need("bash", shutil.which("bash") is not None)
    subprocess.run(["bash", "-n", str(script)], check=True)
