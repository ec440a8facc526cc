"""A command line to copy for every command of fvctl: shown below its help, in the manual, and parsed by a test."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": ("fvctl doctor", "fvctl keys list --json", "fvctl terminals add --help"),
    "doctor": ("fvctl doctor", "fvctl doctor --only key_store --only disk_space", "fvctl doctor --json"),
    "selftest": ("fvctl selftest", "fvctl selftest --offline"),
    "engines": ("fvctl engines build",),
    "engines build": ("fvctl engines build", "fvctl engines build --missing"),
    "engines list": ("fvctl engines list",),
    "engines prune": ("fvctl engines prune",),
    "engines preflight": ("fvctl engines preflight",),
    "engines verify": ("fvctl engines verify --json",),
    "bench": ("fvctl bench", "fvctl bench --photos photos"),
    "bench cost": ("fvctl bench cost",),
    "bench memory": ("fvctl bench memory --requests 20000",),
    "bench opening": ("fvctl bench opening --rounds 2000",),
    "photo": ("fvctl photo inspect sealed.txt",),
    "calibrate": (
        'fvctl calibrate photos --name "our cameras" --out calibration.yaml --report report.html',
        'fvctl calibrate photos --name "other people" --check calibration.yaml',
    ),
    "train-occlusion": ("fvctl train-occlusion lfw --out occlusion_head.npz",),
    "turns": ("fvctl turns photos --count 1000",),
    "keys": ("fvctl keys list",),
    "keys init": ("fvctl keys init",),
    "keys list": ("fvctl keys list",),
    "keys add": ("fvctl keys add --activate", "fvctl keys add --kind dir --terminal till-3 --expires 2027-06-30"),
    "keys import": ("fvctl keys import sealed-key.jwe --terminal till-3 --activate",),
    "keys activate": ("fvctl keys activate x25519-20261125-4f2a91",),
    "keys retire": ("fvctl keys retire x25519-20261125-4f2a91",),
    "keys destroy": ("fvctl keys destroy x25519-20261125-4f2a91",),
    "keys rotate-kek": ("fvctl keys rotate-kek",),
    "keys export-jwks": ("fvctl keys export-jwks", "fvctl keys export-jwks --enrolment"),
    "keys audit": ("fvctl keys audit",),
    "terminals": ("fvctl terminals list",),
    "terminals authority": ("fvctl terminals authority",),
    "terminals server-certificate": ("fvctl terminals server-certificate device.branch.example 10.0.0.7",),
    "terminals add": (
        "fvctl terminals add till-3",
        "fvctl terminals add till-3 --csr till-3.csr",
        "fvctl terminals add till-3 --subject till-3.branch.example",
    ),
    "terminals change": (
        "fvctl terminals change till-3 --csr new.csr",
        "fvctl terminals change till-3 --legacy-until 2027-06-30 --requests-per-minute 120",
    ),
    "terminals revoke": ("fvctl terminals revoke till-3",),
    "terminals list": ("fvctl terminals list",),
    "support-bundle": (
        "fvctl support-bundle --preview",
        "fvctl support-bundle --to support.public.jwk --out bundle.tar.gz.jwe --names names.json",
        "fvctl support-bundle --new-key support.jwk",
        "fvctl support-bundle --open bundle.tar.gz.jwe --key support.jwk",
    ),
    "quantise": ("fvctl quantise lfw --network sface_int8",),
    "release": ("fvctl release status", "fvctl release install"),
    "release build": ("fvctl release build --platform x86_64-py311 --out out",),
    "release deb": (
        "fvctl release deb --release out/faceverifyd-0.2.0-x86_64-py311 --root-json repository/metadata/1.root.json"
        " --out out",
    ),
    "release keys": ("fvctl release keys new releases.key",),
    "release keys new": ("fvctl release keys new releases.key",),
    "release keys root": (
        "fvctl release keys root repository --threshold 2 --root a.key.pub --root b.key.pub --root c.key.pub"
        " --targets targets.key.pub --snapshot snapshot.key.pub --timestamp timestamp.key.pub",
    ),
    "release keys delegate": (
        "fvctl release keys delegate repository --releases releases.key.pub --sign targets=targets.key",
    ),
    "release publish": (
        "fvctl release publish repository out/faceverifyd-0.2.0-x86_64-py311.tar --rollout 10"
        " --sign releases=releases.key --sign snapshot=snapshot.key --sign timestamp=timestamp.key",
    ),
    "release rollout": (
        "fvctl release rollout repository faceverifyd-0.2.0-x86_64-py311.tar 100 --sign releases=releases.key"
        " --sign snapshot=snapshot.key --sign timestamp=timestamp.key",
    ),
    "release sign": ("fvctl release sign repository root a.key",),
    "release status": ("fvctl release status", "fvctl release status --json"),
    "release check": ("fvctl release check", "fvctl release check --source /media/stick"),
    "release install": ("fvctl release install", "fvctl release install 0.3.0 --source /media/stick"),
    "release rollback": ("fvctl release rollback",),
    "release resume": ("fvctl release resume",),
    "release history": ("fvctl release history",),
    "completion": ("fvctl completion bash",),
    "completion bash": ("fvctl completion bash > /etc/bash_completion.d/fvctl",),
    "completion zsh": ("fvctl completion zsh > /usr/share/zsh/site-functions/_fvctl",),
    "manual": ("fvctl manual > fvctl.1 && man ./fvctl.1",),
}
"""Words after `fvctl` to examples. A command whose own module gives examples is not here."""


def add_examples(whole: argparse.ArgumentParser) -> None:
    """Put its examples below the help of every command that is loaded."""
    for words, parser in commands_of(whole):
        if words in EXAMPLES and not parser.epilog:
            parser.epilog = "\n".join(("examples:", *(f"  {line}" for line in EXAMPLES[words])))
            parser.formatter_class = argparse.RawDescriptionHelpFormatter


def commands_of(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A command line and all commands below it, each with its words."""
    yield words, parser
    for name, below in sub_commands(parser).items():
        yield from commands_of(below, f"{words} {name}".strip())


def sub_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands right below a command line, by name."""
    for action in parser._actions:  # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}
