"""Every command has an example below its help, and each is a command line."""

from __future__ import annotations

import re
import shlex

import pytest

from tools.cli import main, parser
from tools.examples import EXAMPLES, commands_of

WHOLE = parser()
COMMANDS = dict(commands_of(WHOLE))
SHOWN = {
    words: re.findall(r"^  fvctl (.*)$", command.epilog or "", re.MULTILINE) for words, command in COMMANDS.items()
}


def test_every_command_has_an_example() -> None:
    assert [words for words, examples in SHOWN.items() if not examples] == []


def test_no_example_is_of_a_command_that_there_is_not() -> None:
    assert set(EXAMPLES) - set(COMMANDS) == set()


@pytest.mark.parametrize(("words", "line"), [(words, line) for words, lines in SHOWN.items() for line in lines])
def test_an_example_is_a_command_line_of_its_command(words: str, line: str) -> None:
    asked = re.split(r" [<>&|]", line)[0]
    assert asked.startswith(words)
    if not asked.endswith("--help"):
        assert WHOLE.parse_args(shlex.split(asked)).command == asked.split()[0]


@pytest.mark.parametrize("words", [[], ["keys"], ["keys", "add"]], ids=" ".join)
def test_help_ends_with_its_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.rstrip().endswith(EXAMPLES[" ".join(words)][-1])
