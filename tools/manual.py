"""`fvctl manual`: the manual page of fvctl, in the form that `man` reads, made of what --help says.

Examples and indented lines stay as they are, which is why no library makes it: those at hand reflow both.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

from daemon import __version__
from daemon.config import CONFIG_VARIABLE
from tools.console import OK
from tools.examples import commands_of

_END = f""".SH EXIT STATUS
.TP
.B 0
all well
.TP
.B 1
something needs doing
.TP
.B 2
it could not run
.TP
.B 64
wrong usage
.SH ENVIRONMENT
.TP
.B {CONFIG_VARIABLE}
the configuration file; without it, that of the device
.TP
.B NO_COLOR
where it is set, nothing is coloured
.SH FILES
.TP
.I /etc/faceverifyd/faceverifyd.yaml
the configuration of the device
.TP
.I /var/lib/faceverifyd
keys, engines, downloads
"""


def manual(whole: argparse.ArgumentParser, made: datetime) -> str:
    """The manual page of a command line and of all commands below it.

    Source: man(7).

    Args:
        whole: the command line.
        made: the page's date.
    """
    head = [
        f'.TH {whole.prog.upper()} 1 "{made:%Y-%m-%d}" "faceverifyd {__version__}" "User Commands"',
        ".SH NAME",
        rf"{whole.prog} \- looks after a faceverifyd device",
        ".SH SYNOPSIS",
        rf".B {whole.prog}",
        r"[\fB\-\-version\fR] \fIcommand\fR [\fIaction\fR] [\fB\-\-json\fR] [\fB\-\-config\fR \fIfile\fR] ...",
        ".SH DESCRIPTION",
    ]
    lines = [line for words, parser in commands_of(whole) for line in _command(words, parser)]
    # A heading begins a paragraph by itself.
    return re.sub(r"(?m)^(\.S[HS] .*)\n\.PP$", r"\1", "\n".join((*head, *lines, _END)))


def _command(words: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """One command: what it is for, what it takes, and its examples."""
    if words:
        yield f'.SS "{_plain(parser.prog)}"'
    yield from _text(parser.description or "")
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        yield from _argument(action)
    yield from _text(parser.epilog or "")


def _argument(action: argparse.Action) -> Iterator[str]:
    if isinstance(action, argparse._SubParsersAction):
        for choice in action._choices_actions:
            yield from (".TP", rf"\fB{_plain(choice.dest)}\fR", _plain(choice.help or ""))
        return
    named = ", ".join(rf"\fB{_plain(option)}\fR" for option in action.option_strings)
    yield from (".TP", f"{named} {_value(action)}".strip(), _plain(action.help or ""))


def _value(action: argparse.Action) -> str:
    """What an argument takes, as its usage writes it."""
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return _plain("|".join(str(choice) for choice in action.choices))
    named = action.metavar or action.dest.upper()
    return " ".join(rf"\fI{_plain(part)}\fR" for part in ((named,) if isinstance(named, str) else named))


def _text(text: str) -> Iterator[str]:
    """Paragraphs; what is indented is kept as it is."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        shown = [line for line in paragraph.splitlines() if line.strip()]
        flowing = [line for line in shown if not line.startswith("  ")]
        indented = [line for line in shown if line.startswith("  ")]
        if flowing:
            yield from (".PP", *(_plain(line) for line in flowing))
        if indented:
            yield from (".PP", ".RS 4", ".nf", *(_plain(line.strip()) for line in indented), ".fi", ".RE")


def _plain(text: str) -> str:
    """Text without meaning for troff. Source: groff_man_style(7)."""
    shown = text.strip().replace("\\", r"\e").replace("-", r"\-").replace("`", r"\(ga").replace("^", r"\(ha")
    return rf"\&{shown}" if shown.startswith((".", "'")) else shown


def run(_args: argparse.Namespace) -> int:
    """Write the page to standard output; its date is SOURCE_DATE_EPOCH where that is set, so that builds agree."""
    from tools.cli import parser  # here, as it loads this module

    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made = datetime.fromtimestamp(int(epoch), timezone.utc) if epoch else datetime.now(timezone.utc)
    sys.stdout.write(manual(parser(), made))
    return OK


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """The sub-command has no arguments of its own."""
