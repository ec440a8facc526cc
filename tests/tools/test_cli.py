"""fvctl finds its sub-commands, and its exit codes tell the four cases apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import __version__
from tests.conftest import REPOSITORY, Site
from tools.cli import main, parser

COMMANDS = (
    "doctor",
    "selftest",
    "engines",
    "verify",
    "bench",
    "photo",
    "calibrate",
    "train-occlusion",
    "turns",
    "keys",
    "terminals",
    "support-bundle",
    "completion",
    "manual",
)


def exit_code(*arguments: str) -> int:
    """Of a command line that argparse ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_names_every_sub_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"    {name}" not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_sub_commands_help_says_what_it_is_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(command, "--help") == 0
    shown = capsys.readouterr().out
    assert f"fvctl {command}" in shown
    assert "--json" in shown
    assert "--config" in shown


@pytest.mark.parametrize("command", [["verify"], ["photo", "seal"], ["photo", "inspect"]], ids=" ".join)
def test_examples_in_the_help_are_command_lines(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*command, "--help") == 0
    examples = [line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("  fvctl ")]
    assert examples != []
    for words in examples:
        end = words.index("<") if "<" in words else len(words)
        assert parser().parse_args(words[:end]).command == command[0]


@pytest.mark.parametrize(
    ("command", "costly"), [("", "pydantic"), ("keys", "onnxruntime"), ("terminals", "cv2"), ("completion", "cv2")]
)
def test_a_call_loads_the_sub_command_that_it_asks_for_and_no_other(command: str, costly: str) -> None:
    look = f"import sys; from tools.cli import parser; parser({command!r}); print({costly!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "False\n"


def test_version_is_the_products(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"faceverifyd {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["no-such-command"], ["engines"], ["engines", "destroy"], ["verify", "one.jpg"], ["engines", "list", "--x"]],
    ids=" ".join,
)
def test_wrong_usage_exits_64_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*arguments) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: fvctl")


@pytest.mark.parametrize(
    "arguments",
    [["engines", "list"], ["verify", "a.jpg", "b.jpg"], ["terminals", "list"]],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_configuration_exits_2_and_says_what_to_do(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "faceverifyd.yaml"
    assert main([*arguments, "--config", str(missing)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{missing} cannot be read" in captured.err
    assert f"remedy: Repair {missing}." in captured.err


def test_a_faulty_configuration_exits_2_and_names_the_fault(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "list", "--config", str(site.write("faulty.yaml", inference={"threads": 0}))]) == 2
    assert "inference.threads" in capsys.readouterr().err


def test_all_well_exits_0(site: Site) -> None:
    assert main(["engines", "list", "--config", str(site.write("well.yaml"))]) == 0


def test_something_to_do_exits_1(site: Site, tmp_path: Path) -> None:
    assert (
        main(["engines", "verify", "--config", str(site.write("bare.yaml", inference={"engines": str(tmp_path)}))]) == 1
    )


def test_the_environment_names_the_configuration(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEVERIFYD_CONFIG", str(site.write("named.yaml")))
    assert main(["engines", "list"]) == 0
    assert "sface" in capsys.readouterr().out


def test_without_the_environment_the_devices_own_file_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEVERIFYD_CONFIG", raising=False)
    assert parser().parse_args(["engines", "list"]).config == Path("/etc/faceverifyd/faceverifyd.yaml")


def test_text_and_json_have_the_same_fields(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(site.write("fields.yaml"))
    assert main(["engines", "list", "--config", config]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert main(["engines", "list", "--config", config, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert head.split() == list(rows[0])


def test_the_installed_program_gives_the_exit_code() -> None:
    command = [sys.executable, "-m", "tools.cli", "engines", "list", "--config", "/nonexistent.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
